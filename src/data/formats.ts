/** Image files by name and by contents: what is read, and what is known well enough to be refused by its name. */

/** Formats that are decoded. Of several frames or pages the first is the image. */
export type ImageFormat = "JPEG" | "PNG" | "WebP" | "GIF" | "TIFF" | "AVIF";

const readNames = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i;

/** Names of image formats that are not read. */
const otherNames = new RegExp(
  "\\.(bmp|dib|hei[cf]|hif|jxl|jp2|j2k|jpf|jpx|j2c|svgz?|ico|cur|psd|psb|xcf|tga|pcx|p[bgpn]m|pam|pfm|exr|hdr|dds|qoi|" +
    "fits?|dcm|dicom|nii|eps|ai|emf|wmf|xbm|xpm|ktx2?|apng|mpo|jxr|wdp|svs|ndpi|" +
    "dng|raw|cr2|cr3|crw|nef|nrw|arw|srf|sr2|orf|raf|rw2|pef|srw|x3f|3fr|iiq|erf|kdc|mrw)$",
  "i",
);

/** Whether a file of this name is read as an image. */
export function isImageName(name: string): boolean {
  return readNames.test(name);
}

/** The ending of a file that holds an image of a format that is not read; undefined for any other name. */
export function unreadImageEnding(name: string): string | undefined {
  return otherNames.exec(name)?.[0].toLowerCase();
}

/** Bytes of a file's start that {@linkcode sniffFormat} looks at. */
const sniffedBytes = 64;

const signatures: readonly (readonly [start: string, format: ImageFormat])[] = [
  ["\xff\xd8\xff", "JPEG"],
  ["\x89PNG\r\n\x1a\n", "PNG"],
  ["GIF87a", "GIF"],
  ["GIF89a", "GIF"],
  ["II*\0", "TIFF"],
  ["MM\0*", "TIFF"],
  ["II+\0", "TIFF"],
  ["MM\0+", "TIFF"],
];

const refusedSignatures: readonly (readonly [start: string, name: string])[] = [
  ["\x1f\x8b", "gzip"],
  ["%PDF", "PDF"],
  ["%!PS", "PostScript"],
  ["BM", "BMP"],
  ["\xff\x0a", "JPEG XL"],
  ["\0\0\0\x0cJXL ", "JPEG XL"],
  ["\0\0\0\x0cjP  ", "JPEG 2000"],
  ["\xff\x4f\xff\x51", "JPEG 2000"],
  ["8BPS", "Photoshop"],
  ["\0\0\x01\0", "icon"],
  ["\0\0\x02\0", "icon"],
  ["PK\x03\x04", "ZIP"],
];

const markup = /^(\xef\xbb\xbf)?\s*<[a-z?!]/i;

/**
 * The format of a file by its first bytes, whatever its name says.
 *
 * @returns the format, or in `other` what it is instead, as words that follow "it holds"
 */
export function sniffFormat(bytes: Uint8Array): { format: ImageFormat } | { other: string } {
  const start = String.fromCharCode(...bytes.subarray(0, sniffedBytes));
  const found = signatures.find(([signature]) => start.startsWith(signature));
  if (found) return { format: found[1] };
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return { format: "WebP" };
  if (start.slice(4, 8) === "ftyp") {
    const brands = start.slice(8).match(/.{4}/gs) ?? [];
    if (brands.some((brand) => brand === "avif" || brand === "avis")) return { format: "AVIF" };
    return { other: brands.some((brand) => /^(he[iv][cmsx]|mif1|msf1)$/.test(brand)) ? "HEIC" : "a video" };
  }
  if (markup.test(start)) return { other: "SVG, XML or HTML" };
  const refused = refusedSignatures.find(([signature]) => start.startsWith(signature));
  return { other: refused ? refused[1] : "no image of a known format" };
}

/**
 * Why bytes of a format that begin rightly could not be decoded. In own words: the decoding library keeps one error text
 * for the whole process, so that of two files which fail at once, each may be given the other's.
 */
export function describeDamage(format: ImageFormat, bytes: Uint8Array): string {
  return `its ${format} data ${endsEarly(format, bytes) ? "ends early" : "is damaged"}`;
}

function endsEarly(format: ImageFormat, bytes: Uint8Array): boolean {
  const { byteLength: length } = bytes;
  const tail = String.fromCharCode(...bytes.subarray(Math.max(0, length - 64)));
  switch (format) {
    case "JPEG":
      return !tail.includes("\xff\xd9");
    case "PNG":
      return !tail.includes("IEND");
    case "GIF":
      return bytes.findLast((byte) => byte !== 0) !== 0x3b;
    case "WebP":
      return length < 8 ||
        new DataView(bytes.buffer, bytes.byteOffset, length).getUint32(4, true) + 8 > length;
    case "TIFF":
    case "AVIF":
      return false;
  }
}
