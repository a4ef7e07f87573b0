/** A headless Chromium, driven by its DevTools protocol: as much of it as looking at pages needs. */

/** Names under which it is installed. */
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

type Parameters = Readonly<Record<string, unknown>>;
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** A running browser with one tab. */
export class Chromium implements AsyncDisposable {
  readonly #pending = new Map<
    number,
    { resolve(result: Record<string, unknown>): void; reject(error: Error): void }
  >();
  readonly #listeners = new Map<string, (params: Record<string, unknown>) => void>();
  #nextId = 1;
  #session: string | undefined;
  /** What pages have complained of since the last visit: errors, warnings and exceptions. */
  complaints: string[] = [];

  private constructor(
    readonly process: Deno.ChildProcess,
    readonly profile: string,
    readonly socket: WebSocket,
  ) {
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
  }

  /** Starts a browser with an empty profile; undefined where none is installed. */
  static async launch(): Promise<Chromium | undefined> {
    const profile = await Deno.makeTempDir({ prefix: "scion-pages-" });
    const process = spawnFirst(names, {
      args: [
        ...[
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--hide-scrollbars",
        ],
        ...[
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--disable-extensions",
        ],
        ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
      ],
      stdout: "null",
      stderr: "piped",
    });
    if (process === undefined) {
      await Deno.remove(profile);
      return undefined;
    }
    const socket = new WebSocket(await debuggerAddress(process));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error("no connection to the browser"));
    });
    const browser = new Chromium(process, profile, socket);
    const { targetId } = await browser.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await browser.#send("Target.attachToTarget", { targetId, flatten: true });
    browser.#session = sessionId as string;
    browser.#listeners.set("Log.entryAdded", ({ entry }) => {
      const { level, text } = entry as { level: string; text: string };
      if (level === "error" || level === "warning") browser.complaints.push(`${level}: ${text}`);
    });
    browser.#listeners.set("Runtime.exceptionThrown", ({ exceptionDetails }) => {
      browser.complaints.push(`exception: ${(exceptionDetails as { text: string }).text}`);
    });
    browser.#listeners.set("Network.requestWillBeSent", ({ request }) => {
      const { url } = request as { url: string };
      if (!/^(file|data|about):/.test(url)) browser.complaints.push(`request: ${url}`);
    });
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await browser.#send(`${domain}.enable`);
    return browser;
  }

  /** Loads a page in a window of this width, for a reader of this colour scheme. */
  async visit(url: string, { width, scheme }: { width: number; scheme: "light" | "dark" }): Promise<void> {
    this.complaints = [];
    await this.#send("Emulation.setDeviceMetricsOverride", {
      ...{ width, height: 900, deviceScaleFactor: 1, mobile: false },
    });
    await this.#send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: scheme }],
    });
    const loaded = new Promise<void>((resolve) =>
      this.#listeners.set("Page.loadEventFired", () => resolve())
    );
    await this.#send("Page.navigate", { url });
    await loaded;
  }

  /** The value of an expression in the page. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    }) as { result: { value: T }; exceptionDetails?: { exception?: { description?: string } } };
    if (exceptionDetails) {
      throw new Error(exceptionDetails.exception?.description ?? "an exception in the page");
    }
    return result.value;
  }

  /** The whole page as PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.#send("Page.captureScreenshot", {
      format: "png",
      captureBeyondViewport: true,
    });
    return Uint8Array.from(atob(data as string), (character) => character.charCodeAt(0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.socket.onclose = resolve);
    await this.#send("Browser.close").catch(() => {});
    await closed;
    await this.process.status;
    await Deno.remove(this.profile, { recursive: true });
  }

  #send(method: string, params: Parameters = {}): Promise<Record<string, unknown>> {
    const id = this.#nextId++;
    const session = this.#session === undefined || method.startsWith("Browser.")
      ? {}
      : { sessionId: this.#session };
    this.socket.send(JSON.stringify({ id, method, params, ...session }));
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #receive({ id, method, params, result, error }: Message): void {
    if (method !== undefined) this.#listeners.get(method)?.(params ?? {});
    if (id === undefined) return;
    const waiting = this.#pending.get(id);
    this.#pending.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result ?? {});
  }
}

/** Starts the first of these programs that is installed and may be run. */
function spawnFirst(
  programs: readonly string[],
  options: Deno.CommandOptions,
): Deno.ChildProcess | undefined {
  for (const program of programs) {
    try {
      return new Deno.Command(program, options).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable)) throw error;
    }
  }
}

/** Where the browser listens; it says so on its standard error, which is read to its end, so that it never blocks. */
async function debuggerAddress({ stderr }: Deno.ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const decoder = new TextDecoder();
  stderr.pipeTo(
    new WritableStream({
      write(bytes) {
        text = (text + decoder.decode(bytes, { stream: true })).slice(-10_000);
        const address = /ws:\/\/\S+/.exec(text)?.[0];
        if (address !== undefined) resolve(address);
      },
      close: () => reject(new Error(`the browser ended at once: ${text}`)),
    }),
  );
  return await promise;
}
