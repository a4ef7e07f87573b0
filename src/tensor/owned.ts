import { Tensor } from "./tensor.ts";

/** A record whose tensors end with it: for `using`. */
export function owned<T extends object>(record: T): T & Disposable {
  return {
    ...record,
    [Symbol.dispose]() {
      for (const value of Object.values(record)) if (value instanceof Tensor) value.release();
    },
  };
}
