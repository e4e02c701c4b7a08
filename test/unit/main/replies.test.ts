/** Answers of another process: in time, too late, and for as long as it shows that it is at work. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { NoAnswerError, Replies, requestId } from "#main/supervisor/replies.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("is the answer, or that there is none in time", async () => {
  const replies = new Replies<string>();
  const [first, second] = [requestId(), requestId()];
  const answered = replies.wait(first, 1000, "control, declare");
  const silent = replies.wait(second, 1000, "control, declare");
  expect(replies.settle(first, "done")).toBe(true);
  expect(await answered).toBe("done");
  const rejected = expect(silent).rejects.toThrow(new NoAnswerError("control, declare: no answer in 1000 ms"));
  vi.advanceTimersByTime(1000);
  await rejected;
  expect(replies.settle(second, "late")).toBe(false);
});

it("is waited for anew when the other side shows that it is at work", async () => {
  const replies = new Replies<string>();
  const id = requestId();
  const answered = replies.wait(id, 1000, "control, declare");
  for (let word = 0; word < 5; word++) {
    vi.advanceTimersByTime(900);
    replies.renew();
  }
  replies.settle(id, "done");
  expect(await answered).toBe("done");
});
