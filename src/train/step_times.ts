/** Where the time of the steps goes. */

/** Wall time of the steps in seconds, evaluations and checkpoints left out, and the parts of it that the host spends. */
export interface StepTimes {
  wall: number;
  /** Drawing views, uploading and recording. */
  recording: number;
  /** Making pipelines, in the first steps. */
  compiling: number;
  /** Waiting for images that were not decoded in time. */
  images: number;
  /** Waiting for the device: to take more work, or to bring losses back. */
  device: number;
  /** Number of waits for losses. */
  deviceWaits: number;
}

/** No time yet. */
export function noTime(): StepTimes {
  return { wall: 0, recording: 0, compiling: 0, images: 0, device: 0, deviceWaits: 0 };
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
