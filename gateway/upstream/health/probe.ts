/**
 * One try to find out how an endpoint is. Who makes it is told once, and never within `start` but for want of memory: an
 * empty text when all is well, else what is wrong. Nothing is told after `cancel`.
 */
export interface Probe {
  start(): void;
  cancel(): void;
}
