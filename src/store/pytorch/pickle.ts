/**
 * Reads the pickles that `torch.save` writes for tensors, without running anything. A pickle is a program for a small
 * stack machine that may ask for any Python function by its name and call it. This machine knows the few names that a
 * state dict of tensors consists of, as data; a pickle that asks for any other is refused with that name.
 *
 * The operations and their bytes: CPython's Lib/pickletools.py.
 */
import { DataError } from "../../errors.ts";

/** A storage: the numbers of one or more tensors, in an entry of the archive. */
export class PickledStorage {
  constructor(
    /** PyTorch's name without `Storage`, e.g. `Float`. */
    readonly kind: StorageKind,
    /** Name of the entry. */
    readonly key: string,
    /** Number of elements. */
    readonly length: number,
  ) {}
}

/** A tensor: a view of a storage, offset and strides in elements. Nothing is checked yet. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** Element types of storages. */
export const storageKinds = [
  "Float",
  "Double",
  "Half",
  "BFloat16",
  "Long",
  "Int",
  "Short",
  "Char",
  "Byte",
  "Bool",
] as const;

/** Element type of a storage, by PyTorch's name without `Storage`. */
export type StorageKind = typeof storageKinds[number];

/** A name that a pickle may ask for. It stands for itself: there is nothing behind it that could be called. */
class Name {
  constructor(readonly text: string) {}
}

/** What a pickle can hold here. Lists and tuples are arrays, dictionaries are maps. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Name
  | PickledStorage
  | PickledTensor
  | PickleValue[]
  | Map<PickleValue, PickleValue>;

const orderedDict = "collections.OrderedDict";
const rebuildTensor = "torch._utils._rebuild_tensor_v2";
const rebuildParameter = "torch._utils._rebuild_parameter";
const storagePrefix = "torch.", storageSuffix = "Storage";

const names = new Map(
  [
    orderedDict,
    rebuildTensor,
    rebuildParameter,
    ...storageKinds.map((kind) => `${storagePrefix}${kind}${storageSuffix}`),
  ].map((text) => [text, new Name(text)]),
);

/** The state dict of a ResNet-152 with its optimiser's takes fifty thousand; each makes at most one small object. */
const mostOperations = 1_000_000;
/** Bytes of a pickle, at most; numbers of tensors lie elsewhere. */
export const mostPickleBytes = 16 * 2 ** 20;

/**
 * Reads a pickle.
 *
 * @param path of the file, for messages
 * @throws {DataError} for one that asks for more than tensors in dictionaries, lists and tuples, or is damaged
 */
export function readPickle(path: string, bytes: Uint8Array<ArrayBuffer>): PickleValue {
  return new Machine(path, bytes).run();
}

class Machine {
  readonly #view: DataView;
  #at = 0;
  #stack: PickleValue[] = [];
  /** Stacks below the marks. */
  readonly #below: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(readonly path: string, readonly bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    for (let count = 0; count < mostOperations; count++) {
      const code = this.#unsigned(1);
      if (code === 0x2e) return this.#pop();
      this.#operation(code);
    }
    throw new DataError(
      `${this.path} holds far more than the weights of a network. Save them alone: ` +
        `torch.save(model.state_dict(), "weights.pth").`,
    );
  }

  #operation(code: number): void {
    switch (String.fromCharCode(code)) {
      case "\x80": { // PROTO
        const protocol = this.#unsigned(1);
        if (protocol > 5) throw this.#damaged(`it says that it has version ${protocol}`);
        return;
      }
      case "\x95": // FRAME: says how many bytes follow, for readers that wait for them.
        this.#unsigned(8);
        return;
      case "(": // MARK
        this.#below.push(this.#stack);
        this.#stack = [];
        return;
      case "0": // POP
        this.#pop();
        return;
      case "N": // NONE
        return this.#push(null);
      case "\x88": // NEWTRUE
        return this.#push(true);
      case "\x89": // NEWFALSE
        return this.#push(false);
      case "K": // BININT1
        return this.#push(this.#unsigned(1));
      case "M": // BININT2
        return this.#push(this.#unsigned(2));
      case "J": // BININT
        return this.#push(this.#unsigned(4) | 0);
      case "\x8a": // LONG1
        return this.#push(littleEndian(this.#take(this.#unsigned(1))));
      case "G": { // BINFLOAT
        const at = this.#skip(8);
        return this.#push(this.#view.getFloat64(at, false));
      }
      case "\x8c": // SHORT_BINUNICODE
        return this.#push(this.#text(this.#unsigned(1)));
      case "X": // BINUNICODE
        return this.#push(this.#text(this.#unsigned(4)));
      case "C": // SHORT_BINBYTES
        return this.#push(this.#take(this.#unsigned(1)));
      case "B": // BINBYTES
        return this.#push(this.#take(this.#unsigned(4)));
      case "]": // EMPTY_LIST
      case ")": // EMPTY_TUPLE
        return this.#push([]);
      case "}": // EMPTY_DICT
        return this.#push(new Map());
      case "t": // TUPLE
        return this.#push(this.#popToMark());
      case "\x85": // TUPLE1
      case "\x86": // TUPLE2
      case "\x87": { // TUPLE3
        const items = Array.from({ length: code - 0x84 }, () => this.#pop());
        return this.#push(items.reverse());
      }
      case "a": { // APPEND
        const item = this.#pop();
        this.#top(Array.isArray, "a list").push(item);
        return;
      }
      case "e": { // APPENDS
        const items = this.#popToMark();
        const list = this.#top(Array.isArray, "a list");
        for (const item of items) list.push(item);
        return;
      }
      case "s": { // SETITEM
        const value = this.#pop(), key = this.#pop();
        this.#top(isMap, "a dictionary").set(key, value);
        return;
      }
      case "u": { // SETITEMS
        const items = this.#popToMark();
        const map = this.#top(isMap, "a dictionary");
        if (items.length % 2 !== 0) throw this.#damaged("a key has no value");
        for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1]);
        return;
      }
      case "q": // BINPUT
        return this.#remember(this.#unsigned(1));
      case "r": // LONG_BINPUT
        return this.#remember(this.#unsigned(4));
      case "\x94": // MEMOIZE
        return this.#remember(this.#memo.size);
      case "h": // BINGET
        return this.#recall(this.#unsigned(1));
      case "j": // LONG_BINGET
        return this.#recall(this.#unsigned(4));
      case "c": // GLOBAL
        return this.#name(this.#line(), this.#line());
      case "\x93": { // STACK_GLOBAL
        const name = this.#pop(), module = this.#pop();
        if (typeof module !== "string" || typeof name !== "string") throw this.#damaged("a name is no text");
        return this.#name(module, name);
      }
      case "Q": // BINPERSID
        return this.#push(this.#storage(this.#pop()));
      case "R": { // REDUCE
        const given = this.#pop(), callee = this.#pop();
        return this.#push(this.#rebuild(callee, given));
      }
      case "b": // BUILD: attributes of an object. Those of a state dict are its modules' versions, which nothing here reads.
        this.#pop();
        this.#top(isMap, "a dictionary");
        return;
      default:
        throw new DataError(
          `${this.path} holds more than tensors: its pickle uses operation 0x${
            code.toString(16)
          }, which makes other ` +
            `objects. Nothing of it was run. ${saveWeights}`,
        );
    }
  }

  #name(module: string, name: string): void {
    const known = names.get(`${module}.${name}`);
    if (known) return this.#push(known);
    const asked = `${module}.${name}`.replace(/[^\x20-\x7e]/g, "?").slice(0, 100);
    throw new DataError(
      `${this.path} holds code: its pickle asks Python for ${asked}, which is none of the few names that tensors need. ` +
        `Nothing of it was run. ${saveWeights}`,
    );
  }

  #storage(value: PickleValue): PickledStorage {
    const [tag, kind, key, , length] = Array.isArray(value) ? value : [];
    const found = kind instanceof Name && storageKind(kind.text);
    if (tag !== "storage" || !found || typeof key !== "string" || typeof length !== "number") {
      throw this.#damaged("a storage is not described by its type, entry, place and length");
    }
    return new PickledStorage(found, key, length);
  }

  #rebuild(callee: PickleValue, given: PickleValue): PickleValue {
    const name = callee instanceof Name ? callee.text : undefined;
    if (!Array.isArray(given)) throw this.#damaged("something is called without arguments");
    if (name === orderedDict && given.length === 0) return new Map();
    if (name === rebuildParameter && given[0] instanceof PickledTensor) return given[0];
    const [storage, offset, shape, strides] = given;
    if (
      name === rebuildTensor && storage instanceof PickledStorage && typeof offset === "number" &&
      isNumbers(shape) && isNumbers(strides)
    ) return new PickledTensor(storage, offset, shape, strides);
    throw this.#damaged(name === undefined ? "a value is called" : `${name} is called with other arguments`);
  }

  #remember(slot: number): void {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.#damaged("a value is missing");
    this.#memo.set(slot, value);
  }

  #recall(slot: number): void {
    const value = this.#memo.get(slot);
    if (value === undefined) throw this.#damaged(`it refers to a value ${slot} that it has not`);
    this.#push(value);
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw this.#damaged("it takes a value from an empty stack");
    return value;
  }

  #popToMark(): PickleValue[] {
    const items = this.#stack;
    const below = this.#below.pop();
    if (!below) throw this.#damaged("a mark is missing");
    this.#stack = below;
    return items;
  }

  #top<T extends PickleValue>(is: (value: PickleValue) => value is T, what: string): T {
    const value = this.#stack.at(-1);
    if (value === undefined || !is(value)) throw this.#damaged(`${what} is missing`);
    return value;
  }

  #skip(count: number): number {
    const start = this.#at;
    if (count > this.bytes.byteLength - start) throw this.#damaged("it ends too early");
    this.#at += count;
    return start;
  }

  #take(count: number): Uint8Array {
    const start = this.#skip(count);
    return this.bytes.subarray(start, start + count);
  }

  /** A little-endian number of so many bytes. */
  #unsigned(count: 1 | 2 | 4 | 8): number {
    const at = this.#skip(count);
    if (count === 1) return this.#view.getUint8(at);
    if (count === 2) return this.#view.getUint16(at, true);
    return count === 4 ? this.#view.getUint32(at, true) : Number(this.#view.getBigUint64(at, true));
  }

  #text(count: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(this.#take(count));
    } catch (error) {
      if (error instanceof DataError) throw error;
      throw this.#damaged("a text is not UTF-8");
    }
  }

  /** Up to the end of the line, which is left out. */
  #line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw this.#damaged("it ends too early");
    const text = this.#text(end - this.#at);
    this.#skip(1);
    return text;
  }

  #damaged(reason: string): DataError {
    return new DataError(
      `${this.path} is damaged, or no state dict of PyTorch: in its pickle ${reason}. Copy it again, or save it again in ` +
        `Python: torch.save(model.state_dict(), "weights.pth").`,
    );
  }
}

const saveWeights =
  `Save the tensors alone, in Python and from a source that you trust: torch.save(model.state_dict(), "weights.pth").`;

function storageKind(name: string): StorageKind | undefined {
  return storageKinds.find((kind) => name === `${storagePrefix}${kind}${storageSuffix}`);
}

function isMap(value: PickleValue): value is Map<PickleValue, PickleValue> {
  return value instanceof Map;
}

function isNumbers(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/** A whole number in two's complement; a safe one as a number. */
function littleEndian(bytes: Uint8Array): number | bigint {
  let value = 0n;
  bytes.forEach((byte, index) => value |= BigInt(byte) << BigInt(8 * index));
  const whole = BigInt.asIntN(8 * bytes.length, value);
  return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
}
