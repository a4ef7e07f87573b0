/** A device that does nothing: whatever is recorded on it allocates in a real {@linkcode BufferPool}, which counts. */

/** Stands for any object of a device: every property and every call gives another one. */
const nothing: unknown = new Proxy(() => {}, {
  // `then` is missing so that it can be awaited.
  get: (_, name) => name === "then" ? undefined : name === Symbol.toPrimitive ? () => 0 : nothing,
  apply: () => nothing,
  set: () => true,
});

/** Such a device with the given limits. */
export function silentDevice(limits: GPUSupportedLimits): GPUDevice {
  const own: Record<PropertyKey, unknown> = {
    limits,
    lost: new Promise(() => {}),
    popErrorScope: () => Promise.resolve(null),
  };
  return new Proxy(own, {
    get: (target, name) => name in target ? target[name] : nothing,
  }) as unknown as GPUDevice;
}
