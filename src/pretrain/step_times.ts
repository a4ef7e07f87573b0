/** Where the time of the steps goes. */

/** Wall time of the steps in seconds, evaluations and checkpoints left out, and the parts of it that the host spends. */
export interface StepTimes {
  wall: number;
  /** Drawing views, uploading, recording and submitting; compiling kernels is part of it at first. */
  recording: number;
  /** Waiting for images that were not decoded in time. */
  images: number;
  /** Waiting for the device, to bring losses back. */
  device: number;
  /** Number of those waits. */
  deviceWaits: number;
}

/** No time yet. */
export function noTime(): StepTimes {
  return { wall: 0, recording: 0, images: 0, device: 0, deviceWaits: 0 };
}

/** A clock that tells the seconds since it was asked last. */
export function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}
