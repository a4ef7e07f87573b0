import { assert, assertEquals, assertRejects } from "@std/assert";
import sharp from "sharp";
import { ConfigurationError, DataError } from "../../src/errors.ts";
import { loadBatch } from "../../src/data/batch.ts";
import type { ImageSource, SourceOptions } from "../../src/data/image_set.ts";
import { openImages } from "./open.ts";

type Rgb = { r: number; g: number; b: number };

const red: Rgb = { r: 200, g: 0, b: 0 },
  green: Rgb = { r: 0, g: 200, b: 0 },
  blue: Rgb = { r: 0, g: 0, b: 200 };

function plain(width: number, height: number, background: Rgb, format: "png" | "jpeg" | "webp" = "png") {
  return sharp({ create: { width, height, channels: 3, background } }).toFormat(format).toBuffer();
}

/** A JPEG with enough detail that half of its bytes are pixels. */
function detailed() {
  const pixels = Uint8Array.from({ length: 64 * 64 * 3 }, (_, at) => (at * at * 31) % 251);
  return sharp(pixels, { raw: { width: 64, height: 64, channels: 3 } }).jpeg().toBuffer();
}

async function inFolder(files: Record<string, Uint8Array>, test: (root: string) => Promise<void>) {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, bytes] of Object.entries(files)) {
      const parent = path.includes("/") ? `${root}/${path.slice(0, path.lastIndexOf("/"))}` : root;
      await Deno.mkdir(parent, { recursive: true });
      await Deno.writeFile(`${root}/${path}`, bytes);
    }
    await test(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Opens a folder and closes it again whatever happens, as Workers would be left running. */
async function withSource(
  root: string,
  options: Partial<SourceOptions>,
  test: (source: ImageSource) => Promise<void> | void,
) {
  const source = await openImages(`folder:${root}`, options);
  try {
    await test(source);
  } finally {
    source.release();
  }
}

const all = (source: ImageSource) => source.load(Array.from({ length: source.length }, (_, index) => index));

Deno.test("class folders give labels, in codepoint order, extensions in any case, nested files too", async () => {
  const files = {
    "b/one.PNG": await plain(10, 12, red),
    "b/deep/er/two.JpEg": await plain(20, 20, green, "jpeg"),
    "Z/three.webp": await plain(8, 8, blue, "webp"),
    "\u{1f33f}/leaf.png": await plain(8, 8, green),
    "\uff21/wide.jpg": await plain(8, 8, red, "jpeg"),
    "b/notes.txt": new TextEncoder().encode("no image"),
    "b/.hidden.png": new Uint8Array([1]),
  };
  await inFolder(files, (root) =>
    withSource(`${root}/`, {}, async (source) => {
      assertEquals(source.classes, ["Z", "b", "\uff21", "\u{1f33f}"]);
      assertEquals(source.labels, Int32Array.of(0, 1, 1, 2, 3));
      assertEquals(source.skipped, []);
      const [three, two, one] = await source.load([0, 1, 2]);
      assertEquals([three!.width, three!.height, three!.pixels.length], [8, 8, 256]);
      assertEquals([two!.width, two!.height], [20, 20]);
      assertEquals([one!.width, one!.height, ...one!.pixels.subarray(0, 4)], [10, 12, 200, 0, 0, 255]);
    }));
});

Deno.test("every kind of pixel becomes RGBA: grayscale, alpha on white, 16 bit, CMYK, EXIF orientation", async () => {
  const rgb16 = Uint16Array.from({ length: 9 * 7 * 3 }, () => 0x8080);
  const clear = { width: 9, height: 7, channels: 4 as const, background: { r: 0, g: 0, b: 0, alpha: 0 } };
  const files = {
    "1.png": await sharp(await plain(9, 7, { r: 90, g: 90, b: 90 })).toColourspace("b-w").png().toBuffer(),
    "2.jpg": await sharp(await plain(9, 7, { r: 90, g: 90, b: 90 })).toColourspace("b-w").jpeg().toBuffer(),
    "3.png": await sharp({ create: clear }).png().toBuffer(),
    "4.png": await sharp(rgb16, { raw: { width: 9, height: 7, channels: 3 } }).toColourspace("rgb16").png()
      .toBuffer(),
    "5.jpg": await sharp(await plain(9, 7, red)).toColourspace("cmyk").jpeg().toBuffer(),
    "6.jpg": await sharp(await plain(7, 9, red)).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
  };
  await inFolder(files, (root) =>
    withSource(root, {}, async (source) => {
      assertEquals([source.length, source.labels, source.classes], [6, undefined, undefined]);
      const images = await all(source);
      const expected = [[90, 90, 90], [90, 90, 90], [255, 255, 255], [128, 128, 128], [200, 0, 0], [
        200,
        0,
        0,
      ]];
      images.forEach((image, index) => {
        assertEquals([image!.width, image!.height, image!.pixels.length], [9, 7, 4 * 63]);
        const pixel = Array.from(image!.pixels.subarray(0, 4));
        const tolerance = index === 4 ? 40 : 3; // CMYK keeps colours roughly
        [...expected[index], 255].forEach((value, channel) =>
          assert(Math.abs(pixel[channel] - value) <= tolerance, `image ${index}: ${pixel}`)
        );
      });
    }));
});

Deno.test("large images are shrunk to the stored side, small and thin ones are never enlarged", async () => {
  const files = {
    "1.png": await plain(500, 250, red),
    "2.jpg": await plain(101, 301, red, "jpeg"),
    "3.png": await plain(300, 20, red),
    "4.png": await plain(1, 1, red),
  };
  await inFolder(files, (root) =>
    withSource(root, { imageSize: 32 }, async (source) => {
      const sizes = (await all(source)).map((image) => [image!.width, image!.height]);
      assertEquals(sizes, [[74, 37], [37, 110], [300, 20], [1, 1]]);
    }));
});

async function partlyBroken() {
  const jpeg = await detailed();
  return {
    "a/1.jpg": await plain(8, 8, red, "jpeg"),
    "a/2.jpg": jpeg.subarray(0, jpeg.length / 2),
    "a/3.png": new Uint8Array(0),
    "b/4.png": await plain(8, 8, green),
    "b/5.jpg": jpeg.subarray(0, jpeg.length - 20),
    "b/6.png": await plain(8, 8, blue),
    "b/7.png": new TextEncoder().encode("this is no image at all"),
  };
}

Deno.test("broken files are named once, counted, and keep their place, so that others keep theirs", async () => {
  await inFolder(await partlyBroken(), async (root) => {
    const warnings: string[] = [], progress: number[][] = [];
    const options = {
      onWarning: (message: string) => warnings.push(message),
      onProgress: (done: number, total: number) => progress.push([done, total]),
    };
    await withSource(root, options, async (source) => {
      assertEquals(source.length, 7);
      assertEquals(source.labels, Int32Array.of(0, 0, 0, 1, 1, 1, 1));
      assertEquals([...source.broken!].sort(), [1, 2, 4, 6]);
      const broken = ["a/2.jpg", "a/3.png", "b/5.jpg", "b/7.png"].map((path) => `${root}/${path}`);
      assertEquals(source.skipped.map(({ path }) => path), broken);
      assertEquals(warnings.length, 4);
      broken.forEach((path, at) =>
        assert(warnings[at].includes(path) && source.skipped[at].reason.length > 5)
      );
      assertEquals(progress, [[7, 7]]);
      const brightest = (await source.load([0, 3, 5])).map((image) =>
        image!.pixels.subarray(0, 3).findIndex((v) => v > 150)
      );
      assertEquals(brightest, [0, 1, 2]);
      assertEquals(warnings.length, 4);
    });
  });
});

Deno.test("strict refuses a broken file by name, at opening and at loading", async () => {
  await inFolder(await partlyBroken(), async (root) => {
    await assertRejects(
      () => withSource(root, { strict: true }, () => {}),
      DataError,
      `${root}/a/2.jpg" is broken`,
    );
    await withSource(root, { strict: true, preload: false }, async (source) => {
      assertEquals(source.length, 7);
      await source.load([0, 3]);
      await assertRejects(() => source.load([0, 6]), DataError, `${root}/b/7.png" is broken`);
    });
  });
});

Deno.test("a set that holds only broken files is refused", async () => {
  await inFolder({ "a.png": new Uint8Array(3), "b.png": new Uint8Array(0) }, async (root) => {
    await assertRejects(() => withSource(root, {}, () => {}), DataError, "all 2 images");
  });
});

Deno.test("without preloading, loadBatch puts the next usable image of the pool in a broken one's place", async () => {
  await inFolder(await partlyBroken(), async (root) => {
    await withSource(root, { preload: false, cacheBytes: 0 }, async (source) => {
      assertEquals((await source.load([0, 1, 3])).map((image) => image !== undefined), [true, false, true]);
      for (const _ of [1, 2]) {
        const batch = await loadBatch(source, Uint32Array.of(6, 1, 5, 0), Uint32Array.of(0, 1, 2, 5, 6));
        assertEquals(batch.indices, Uint32Array.of(0, 5, 5, 0));
        assertEquals(batch.images[1].pixels, (await source.load([5]))[0]!.pixels);
      }
      await assertRejects(
        () => loadBatch(source, Uint32Array.of(1), Uint32Array.of(1, 2, 4)),
        DataError,
        "none of the 3 images",
      );
      assertEquals(source.skipped.length, 4);
    });
  });
});

Deno.test("beyond the cache's limit preloading stops and images are decoded on demand", async () => {
  const files: Record<string, Uint8Array> = {};
  for (let index = 0; index < 130; index++) {
    files[`${String(index).padStart(3, "0")}.png`] = await plain(4, 4, { r: index, g: 0, b: 0 });
  }
  files["129.png"] = new Uint8Array(5);
  await inFolder(files, async (root) => {
    const progress: number[] = [];
    const warnings: string[] = [];
    await withSource(
      root,
      {
        cacheBytes: 70 * 64,
        onProgress: (done) => progress.push(done),
        onWarning: (message) => warnings.push(message),
      },
      async (source) => {
        assertEquals(progress, [64, 128]);
        assertEquals(warnings.length, 1);
        assert(warnings[0].includes("full after about 128 of the 130 images"), warnings[0]);
        assertEquals(source.length, 130);
        const images = await source.load([127, 3, 100, 3, 129]);
        assertEquals(images.map((image) => image?.pixels[0]), [127, 3, 100, 3, undefined]);
      },
    );
  });
});

Deno.test("a folder that cannot be used is refused with what to do", async () => {
  await assertRejects(() => withSource("no/such/folder", {}, () => {}), ConfigurationError, "does not exist");
  await inFolder({ "a/readme.txt": new Uint8Array(1) }, async (root) => {
    await assertRejects(() => withSource(root, {}, () => {}), DataError, "holds no images");
    await assertRejects(
      () => withSource(`${root}/a/readme.txt`, {}, () => {}),
      ConfigurationError,
      "is a file",
    );
  });
});

Deno.test("images beside class folders make the set unlabelled, with a warning", async () => {
  const image = await plain(4, 4, red);
  await inFolder({ "a/1.png": image, "b/2.png": image, "3.png": image }, async (root) => {
    const warnings: string[] = [];
    await withSource(root, { onWarning: (message) => warnings.push(message) }, (source) => {
      assertEquals([source.length, source.labels], [3, undefined]);
      assert(warnings.length === 1 && warnings[0].includes("1 image(s) beside its class folders"));
    });
  });
});

Deno.test("what links reach again counts once, a dead link is a broken image", async () => {
  await inFolder({ "a/1.png": await plain(4, 4, red), "b/2.png": await plain(4, 4, green) }, async (root) => {
    await Deno.symlink(`${root}/b`, `${root}/c`);
    await Deno.symlink(root, `${root}/a/loop`);
    await Deno.symlink(`${root}/gone.png`, `${root}/b/3.png`);
    await withSource(root, {}, (source) => {
      assertEquals([source.length, source.classes], [3, ["a", "b"]]);
      assertEquals(source.skipped.map(({ path }) => path), [`${root}/b/3.png`]);
    });
  });
});

Deno.test("a closed source rejects what it is still asked for", async () => {
  await inFolder({ "a.png": await plain(4, 4, red) }, async (root) => {
    const source = await openImages(`folder:${root}`, { workers: 1, preload: false });
    const loading = source.load([0]);
    source.release();
    await assertRejects(() => loading, DataError, "was closed");
    await assertRejects(() => source.load([0]), DataError, "was closed");
  });
});

Deno.test({
  name: "a decoding library that does not load is an error, not a set of broken files",
  permissions: {
    read: true,
    write: true,
    env: ["npm_package_config_libvips", "MALLOC_ARENA_MAX"],
    ffi: false,
  },
  fn: () =>
    inFolder({ "a.png": new Uint8Array(9) }, async (root) => {
      await assertRejects(() => withSource(root, {}, () => {}), DataError, "(sharp) does not load");
    }),
});

Deno.test("decoding goes on while this thread is blocked, as it is by every wait for the device", async () => {
  const count = 20;
  const image = await plain(2000, 2000, red, "jpeg");
  const files = Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index}.jpg`, image]));
  await inFolder(
    files,
    (root) =>
      withSource(root, { workers: 1, preload: false, cacheBytes: 0 }, async (source) => {
        const start = performance.now();
        await source.load([0, 1]); // the Worker is up
        const block = count * (performance.now() - start);
        const loading = all(source);
        const end = performance.now() + block;
        while (performance.now() < end);
        // Messages that have arrived meanwhile are worked off before this timer.
        const late = new Promise<string>((resolve) => setTimeout(() => resolve("late"), 30));
        const loaded = await Promise.race([loading, late]);
        assert(loaded !== "late", "the images were not decoded in the meantime");
        assertEquals(loaded.length, count);
      }),
  );
});
