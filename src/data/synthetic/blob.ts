import type { Random } from "../../random.ts";

/**
 * A random smooth shape around a centre: an ellipse whose radius waves with the angle. Coordinates are parts of the
 * image's side.
 */
export class Blob {
  readonly #x: number;
  readonly #y: number;
  readonly #cos: number;
  readonly #sin: number;
  readonly #aspect: number;
  readonly #waves: readonly [number, number, number, number];
  #scale = 1;

  /**
   * @param radius half the size, as a part of the image's side; {@linkcode fit} replaces it
   * @param waviness 0 for an ellipse, up to about 0.3
   */
  constructor(random: Random, x: number, y: number, radius: number, waviness: number) {
    this.#x = x;
    this.#y = y;
    const angle = random.uniform(0, 2 * Math.PI);
    this.#cos = Math.cos(angle);
    this.#sin = Math.sin(angle);
    this.#aspect = Math.exp(random.uniform(-0.35, 0.35));
    const wave = () => random.uniform(-waviness, waviness);
    this.#waves = [wave(), wave(), wave(), wave()];
    this.#scale = radius;
  }

  /** Distance from the centre as a part of the radius in that direction: below 1 inside, above 1 outside. */
  level(x: number, y: number): number {
    const dx = x - this.#x, dy = y - this.#y;
    const a = (dx * this.#cos + dy * this.#sin) * this.#aspect;
    const b = (dy * this.#cos - dx * this.#sin) / this.#aspect;
    const square = a * a + b * b;
    if (square === 0) return 0;
    const radius = Math.sqrt(square);
    // cos and sin of twice and three times the angle, without computing the angle.
    const cos2 = (a * a - b * b) / square, sin2 = 2 * a * b / square;
    const cos3 = (cos2 * a - sin2 * b) / radius, sin3 = (sin2 * a + cos2 * b) / radius;
    const [w0, w1, w2, w3] = this.#waves;
    return radius / (this.#scale * (1 + w0 * cos2 + w1 * sin2 + w2 * cos3 + w3 * sin3));
  }

  /** Sets the size so that the blob covers this part of the image, 0 to 1. */
  fit(coverage: number): void {
    const grid = 16;
    const levels = new Float64Array(grid * grid);
    for (let i = 0; i < levels.length; i++) {
      levels[i] = this.level((i % grid + 0.5) / grid, (Math.floor(i / grid) + 0.5) / grid);
    }
    levels.sort();
    this.#scale *= levels[Math.min(levels.length - 1, Math.round(coverage * levels.length))];
  }
}
