/** A control process that only says that it is ready, for tests of the supervisor. */
process.on("message", (message: { type: string }) => {
  if (message.type === "shutdown") process.exit(0);
});
process.on("disconnect", () => process.exit(0));
process.send?.({ type: "ready", revision: 0 });
