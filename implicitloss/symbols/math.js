/** MathML of LaTeX as SymPy prints it; throws for what it does not know. */
function mathOf(source, display = "block") {
  const SIGNS = {leq: "≤", le: "≤", neq: "≠", propto: "∝", partial: "∂", sum: "∑"};
  const LETTERS = {pi: "π", eta: "η", lambda: "λ", alpha: "α", tau: "τ", ell: "ℓ", kappa: "κ", sigma: "σ", delta: "δ", phi: "ϕ", Phi: "Φ"};
  const SPACES = {",": "0.2em", quad: "1em"};
  const tokens = source.match(/\\[a-zA-Z]+|\\.|[0-9.]+|[a-z]'|[a-zA-Z]|\S/g) ?? [];
  let at = 0;
  const node = (tag, ...inside) => {
    const made = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
    made.append(...inside);
    return made;
  };
  const sign = (text, stretchy = false) => {
    const made = node("mo", text);
    made.setAttribute("stretchy", stretchy);
    return made;
  };
  function until(stop) {
    const found = [];
    while (at < tokens.length && tokens[at] !== stop) found.push(scripted());
    if (stop && at === tokens.length) throw new Error(`no ${stop} in ${source}`);
    at += 1;
    return node("mrow", ...found);
  }
  function scripted() {
    const base = atom(), scripts = {}, [under, over] = base.textContent === "∑" ? ["under", "over"] : ["sub", "sup"];
    while (tokens[at] === "_" || tokens[at] === "^") scripts[tokens[at++]] = atom();
    const {_: low, "^": high} = scripts;
    if (low && high) return node(`m${under}${over}`, base, low, high);
    return low ? node(`m${under}`, base, low) : high ? node(`m${over}`, base, high) : base;
  }
  function atom() {
    const token = tokens[at++] ?? "", name = token.slice(1);
    if (token === "{") return until("}");
    if (/^[0-9.]+$/.test(token)) return node("mn", token);
    if (/^[a-zA-Z]$/.test(token)) return node("mi", token);
    if (/^[a-z]'$/.test(token)) return node("mi", `${String.fromCodePoint(0x1D44E + token.codePointAt(0) - 97)}′`); // an italic letter
    if (token === "-") return node("mo", "−");
    if (/^[+=*(),/\[\]]$/.test(token)) return sign(token);
    if (name === "frac") return node("mfrac", atom(), atom());
    if (name === "sqrt") {
      if (tokens[at] !== "[") return node("msqrt", atom());
      at += 1;
      const degree = until("]");
      return node("mroot", atom(), degree);
    }
    if (name === "left") {
      const open = sign(tokens[at++], true), inside = until("\\right");
      return node("mrow", open, inside, sign(tokens[at++], true));
    }
    if (name === "mathrm") {
      const made = node("mi", atom().textContent);
      made.setAttribute("mathvariant", "normal");
      return made;
    }
    if (SPACES[name]) {
      const made = node("mspace");
      made.setAttribute("width", SPACES[name]);
      return made;
    }
    if (SIGNS[name]) return node("mo", SIGNS[name]);
    if (name === "log" || name === "max") return node("mrow", node("mi", name), node("mo", "\u2061")); // a function, applied
    if (LETTERS[name]) return node("mi", LETTERS[name]);
    throw new Error(`${token} of ${source} is not known`);
  }
  const math = node("math", until());
  math.setAttribute("display", display);
  return math;
}
