/**
 * The few functions of MPI that a training needs, bound through FFI. There are two binary interfaces: Open MPI's, whose
 * handles are pointers, and MPICH's (also Intel MPI's, MVAPICH's, Cray MPI's), whose handles are numbers.
 */
import { DistributedError } from "../../errors.ts";

/** Whose binary interface a library has. */
export type MpiKind = "Open MPI" | "MPICH";

/** Where and as what the library is known. */
export interface FoundLibrary {
  readonly path: string;
  readonly kind: MpiKind;
}

/** Names of the library's file. */
const names: readonly (readonly [file: string, kind: MpiKind])[] = [
  ["libmpi.so.40", "Open MPI"],
  ["libmpich.so.12", "MPICH"],
  ["libmpi.so.12", "MPICH"],
];

/** Where distributions put it, beside what `LD_LIBRARY_PATH` says. */
const folders = [
  ...["x86_64-linux-gnu", "aarch64-linux-gnu"].flatMap((machine) => [`/usr/lib/${machine}`]),
  ...["openmpi", "mpich"].map((name) => `/usr/lib64/${name}/lib`),
  ...["/usr/lib64", "/usr/local/lib", "/usr/lib"],
];

/** Variables that tell whose launcher began a process. */
const launchers: readonly (readonly [variable: string, kind: MpiKind])[] = [
  ["OMPI_COMM_WORLD_SIZE", "Open MPI"],
  ["PMIX_RANK", "Open MPI"],
  ["PMI_SIZE", "MPICH"],
  ["PMI_RANK", "MPICH"],
];

/**
 * Finds the library of the launcher that began this process; without a launcher, any.
 *
 * @throws {DistributedError} where there is none
 */
export function findMpi(): FoundLibrary {
  const launcher = launchers.find(([variable]) => Deno.env.get(variable) !== undefined)?.[1];
  const searched = [...(Deno.env.get("LD_LIBRARY_PATH") ?? "").split(":").filter(Boolean), ...folders];
  for (const [file, kind] of names) {
    if (launcher !== undefined && kind !== launcher) continue;
    for (const folder of searched) {
      const path = `${folder}/${file}`;
      if (exists(path)) return { path, kind };
    }
  }
  const wanted = names.filter(([, kind]) => launcher === undefined || kind === launcher).map(([file]) =>
    file
  );
  throw new DistributedError(
    `--distributed mpi: ${wanted.join(" or ")}${
      launcher ? ` of ${launcher}, whose launcher began this` : ""
    } is not ` +
      `there; looked in ${
        searched.join(", ")
      }. Install it (Debian: openmpi-bin, or mpich), load its module, or set ` +
      "LD_LIBRARY_PATH.",
  );
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Numbers of MPICH's predefined handles, by its published binary interface. */
const mpichHandles = { world: 0x4400_0000, byte: 0x4c00_010d };
/** Numbers that Fortran has for Open MPI's, which a function of its own turns into pointers. */
const openMpiHandles = { world: 0, byte: 1 };

/** The thread that initialises it alone calls it. */
const funneled = 1;
/** More than any library's status. */
const statusBytes = 64;

function symbolsOf(object: "usize" | "i32") {
  const message = {
    parameters: ["buffer", "i32", object, "i32", "i32", object, "buffer"],
    result: "i32",
  } as const;
  return {
    MPI_Init_thread: { parameters: ["pointer", "pointer", "i32", "buffer"], result: "i32" },
    MPI_Get_library_version: { parameters: ["buffer", "buffer"], result: "i32" },
    MPI_Comm_rank: { parameters: [object, "buffer"], result: "i32" },
    MPI_Comm_size: { parameters: [object, "buffer"], result: "i32" },
    MPI_Isend: message,
    MPI_Irecv: message,
    MPI_Test: { parameters: ["buffer", "buffer", "buffer"], result: "i32" },
    MPI_Abort: { parameters: [object, "i32"], result: "i32" },
    MPI_Finalize: { parameters: [], result: "i32" },
  } as const;
}

const conversions = {
  MPI_Comm_f2c: { parameters: ["i32"], result: "usize" },
  MPI_Type_f2c: { parameters: ["i32"], result: "usize" },
} as const;

/** A message on its way. Its bytes stay referenced until it is done. */
export interface Message {
  /** Whether it is done; to be asked until it is. */
  test(): boolean;
}

type Name = keyof ReturnType<typeof symbolsOf>;
type Calls = Readonly<Record<Name, (...values: unknown[]) => number>>;

/** MPI, initialised. */
export class MpiLibrary {
  readonly rank: number;
  readonly size: number;
  /** The library's own name and version. */
  readonly version: string;
  readonly #calls: Calls;
  readonly #world: unknown;
  readonly #byte: unknown;

  /** @throws {DistributedError} when it cannot be loaded or does not start */
  constructor(readonly found: FoundLibrary) {
    const { path, kind } = found;
    try {
      const { symbols } = Deno.dlopen(path, symbolsOf(kind === "Open MPI" ? "usize" : "i32"));
      this.#calls = symbols as unknown as Calls;
      if (kind === "MPICH") [this.#world, this.#byte] = [mpichHandles.world, mpichHandles.byte];
    } catch (error) {
      throw new DistributedError(
        `--distributed mpi: ${path} cannot be loaded: ${
          (error as Error).message
        }. Libraries under /usr and /opt may be; ` +
          "for others run src/cli/pretrain.ts with --allow-ffi=node_modules,FILE.",
        { cause: error },
      );
    }
    this.#check("MPI_Init_thread", null, null, funneled, new Int32Array(1));
    if (kind === "Open MPI") {
      const { symbols } = Deno.dlopen(path, conversions);
      this.#world = symbols.MPI_Comm_f2c(openMpiHandles.world);
      this.#byte = symbols.MPI_Type_f2c(openMpiHandles.byte);
    }
    const [text, length, rank, size] = [
      new Uint8Array(8192),
      ...[1, 2, 3].map(() => new Int32Array(1)),
    ] as const;
    this.#check("MPI_Get_library_version", text, length);
    this.version = new TextDecoder().decode(text.subarray(0, length[0])).split(/[\n,]/)[0].replace(
      /\s+/g,
      " ",
    );
    this.#check("MPI_Comm_rank", this.#world, rank);
    this.#check("MPI_Comm_size", this.#world, size);
    [this.rank, this.size] = [rank[0], size[0]];
  }

  /** Begins to send bytes. @param tag tells messages between two ranks apart */
  send(bytes: Uint8Array<ArrayBuffer>, to: number, tag: number): Message {
    return this.#message("MPI_Isend", bytes, to, tag);
  }

  /** Begins to receive as many bytes as there are room for. */
  receive(into: Uint8Array<ArrayBuffer>, from: number, tag: number): Message {
    return this.#message("MPI_Irecv", into, from, tag);
  }

  /** Ends all ranks, this one included. */
  abort(status: number): never {
    this.#calls.MPI_Abort(this.#world, status);
    Deno.exit(status);
  }

  /** Says that this rank is done; waits until all have. */
  finish(): void {
    this.#check("MPI_Finalize");
  }

  #message(
    name: "MPI_Isend" | "MPI_Irecv",
    bytes: Uint8Array<ArrayBuffer>,
    peer: number,
    tag: number,
  ): Message {
    // A handle is four bytes or eight.
    const request = new Uint8Array(8), done = new Int32Array(1), status = new Uint8Array(statusBytes);
    this.#check(name, bytes, bytes.byteLength, this.#byte, peer, tag, this.#world, request);
    return {
      test: () => {
        if (done[0] === 0) this.#check("MPI_Test", request, done, status);
        // Referred to here so that they are not collected before.
        return done[0] !== 0 && bytes.byteLength >= 0;
      },
    };
  }

  #check(name: Name, ...values: unknown[]): void {
    const status = this.#calls[name](...values);
    if (status !== 0) throw new DistributedError(`${name} of ${this.found.path} failed with ${status}`);
  }
}
