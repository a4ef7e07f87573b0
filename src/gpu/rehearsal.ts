/**
 * A device that does nothing: whatever is recorded on it allocates in a real {@linkcode BufferPool}, which counts. What is read
 * from it is 0.
 */

/** Stands for any object of a device: every property and every call gives another one. */
const nothing: unknown = new Proxy(() => {}, {
  // `then` is missing so that it can be awaited.
  get: (_, name) => name === "then" ? undefined : name === Symbol.toPrimitive ? () => 0 : nothing,
  apply: () => nothing,
  set: () => true,
});

/** An object whose other properties are {@linkcode nothing}. */
function withRest(own: Record<PropertyKey, unknown>): unknown {
  return new Proxy(own, { get: (target, name) => name in target ? target[name] : nothing });
}

/** Such a device with the given limits. */
export function silentDevice(limits: GPUSupportedLimits): GPUDevice {
  const own: Record<PropertyKey, unknown> = {
    limits,
    lost: new Promise(() => {}),
    popErrorScope: () => Promise.resolve(null),
    createShaderModule: () => withRest({ getCompilationInfo: () => Promise.resolve({ messages: [] }) }),
    createBuffer: ({ size }: GPUBufferDescriptor) =>
      withRest({ getMappedRange: () => new ArrayBuffer(size), mapAsync: () => Promise.resolve() }),
  };
  return withRest(own) as unknown as GPUDevice;
}
