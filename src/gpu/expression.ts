/**
 * Expressions of kernel files, `${…}` and `#if`: whole numbers, truth values and texts, with JavaScript's operators and
 * precedence. A parser of their own, because building functions from text is forbidden under a content-security policy.
 *
 *     conditional  or ? conditional : conditional
 *     binary       || && | ^ & === !== < <= > >= << >> + - * / %, the loosest first
 *     unary        ! - value
 *     value        number, "text", name, min(a, b, …), max(a, b, …), (conditional)
 */

/** What an expression's names stand for, and what it gives. */
export type ExpressionValue = number | boolean | string;

const operators: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["===", "!=="],
  ["<", "<=", ">", ">="],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];

const token = /\s*(?:(\d+)|"([^"]*)"|([A-Za-z_]\w*)|(===|!==|<<|>>|<=|>=|\|\||&&|[-+*/%<>&|^!?:(),]))/y;

type Token =
  | { readonly kind: "value"; readonly value: number | string }
  | { readonly kind: "name" | "sign"; readonly text: string };

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const trimmed = text.trimEnd();
  token.lastIndex = 0;
  while (token.lastIndex < trimmed.length) {
    const at = token.lastIndex;
    const found = token.exec(trimmed);
    if (!found) throw new SyntaxError(`'${trimmed.slice(at).trim()}' is not understood`);
    const [, digits, quoted, name, sign] = found;
    if (digits !== undefined) tokens.push({ kind: "value", value: Number(digits) });
    else if (quoted !== undefined) tokens.push({ kind: "value", value: quoted });
    else if (name !== undefined) tokens.push({ kind: "name", text: name });
    else tokens.push({ kind: "sign", text: sign });
  }
  return tokens;
}

function number(value: ExpressionValue, operator: string): number {
  if (typeof value === "number") return value;
  throw new SyntaxError(`'${operator}' needs numbers; ${JSON.stringify(value)} is none`);
}

function apply(operator: string, a: ExpressionValue, b: ExpressionValue): ExpressionValue {
  switch (operator) {
    case "||":
      return a || b;
    case "&&":
      return a && b;
    case "===":
      return a === b;
    case "!==":
      return a !== b;
    case "+":
      // Texts are joined, as in "before" + 1.
      if (typeof a === "string" || typeof b === "string") return `${a}${b}`;
  }
  const x = number(a, operator);
  const y = number(b, operator);
  switch (operator) {
    case "|":
      return x | y;
    case "^":
      return x ^ y;
    case "&":
      return x & y;
    case "<":
      return x < y;
    case "<=":
      return x <= y;
    case ">":
      return x > y;
    case ">=":
      return x >= y;
    case "<<":
      return x << y;
    case ">>":
      return x >> y;
    case "+":
      return x + y;
    case "-":
      return x - y;
    case "*":
      return x * y;
    case "/":
      return x / y;
    default:
      return x % y;
  }
}

const functions: Readonly<Record<string, (...values: number[]) => number>> = { min: Math.min, max: Math.max };

/** Reads and evaluates in one pass; both branches of a condition are evaluated. */
class Parser {
  readonly #tokens: Token[];
  #next = 0;

  constructor(text: string, readonly scope: Readonly<Record<string, ExpressionValue>>) {
    this.#tokens = tokensOf(text);
  }

  whole(): ExpressionValue {
    const value = this.#conditional();
    if (this.#next < this.#tokens.length) throw new SyntaxError(`${this.#found()} is not expected`);
    return value;
  }

  #conditional(): ExpressionValue {
    const condition = this.#binary(0);
    if (!this.#take("?")) return condition;
    const chosen = this.#conditional();
    this.#expect(":");
    const otherwise = this.#conditional();
    return condition ? chosen : otherwise;
  }

  #binary(level: number): ExpressionValue {
    if (level === operators.length) return this.#unary();
    let value = this.#binary(level + 1);
    for (;;) {
      const operator = operators[level].find((sign) => this.#take(sign));
      if (operator === undefined) return value;
      value = apply(operator, value, this.#binary(level + 1));
    }
  }

  #unary(): ExpressionValue {
    if (this.#take("!")) return !this.#unary();
    if (this.#take("-")) return -number(this.#unary(), "-");
    return this.#value();
  }

  #value(): ExpressionValue {
    if (this.#take("(")) {
      const value = this.#conditional();
      this.#expect(")");
      return value;
    }
    const given = this.#tokens[this.#next];
    if (!given || given.kind === "sign") throw new SyntaxError(`a value is missing at ${this.#found()}`);
    this.#next++;
    if (given.kind === "value") return given.value;
    if (this.#take("(")) return this.#call(given.text);
    if (Object.hasOwn(this.scope, given.text)) return this.scope[given.text];
    throw new SyntaxError(`there is no '${given.text}'`);
  }

  #call(name: string): number {
    if (!Object.hasOwn(functions, name)) throw new SyntaxError(`there is no function '${name}'`);
    const values: number[] = [];
    do values.push(number(this.#conditional(), name)); while (this.#take(","));
    this.#expect(")");
    return functions[name](...values);
  }

  #take(sign: string): boolean {
    const given = this.#tokens[this.#next];
    if (given?.kind !== "sign" || given.text !== sign) return false;
    this.#next++;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw new SyntaxError(`'${sign}' is missing at ${this.#found()}`);
  }

  #found(): string {
    const given = this.#tokens[this.#next];
    if (!given) return "the end";
    return given.kind === "value" ? JSON.stringify(given.value) : `'${given.text}'`;
  }
}

/**
 * The value of an expression.
 * @param scope values of the names in it
 * @throws SyntaxError that says what is wrong, for a text that is no expression and for an unknown name
 */
export function evaluateExpression(
  text: string,
  scope: Readonly<Record<string, ExpressionValue>>,
): ExpressionValue {
  return new Parser(text, scope).whole();
}
