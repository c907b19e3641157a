"use strict";
// The page's numbers against the library's.

function selfTest() {
  const failures = [], worst = {};
  const compare = (what, i, found, expected, within) => {
    [found].flat(Infinity).forEach((v, k) => {
      const e = [expected].flat(Infinity)[k], off = Math.abs(v - e) / Math.max(1, Math.abs(e));
      worst[what] = Math.max(worst[what] ?? 0, off);
      if (!(off <= within)) failures.push(`${what} of vector ${i}, entry ${k}: ${v} for ${e}`);
    });
  };
  DATA.vectors.forEach((v, i) => {
    compare("margins", i, margins(v.settings, v.prior, v.f), v.margins, 1e-12);
    compare("bound", i, bound(v.settings, v.prior, v.f, v.y), v.bound, 1e-12);
    compare("exact loss", i, exactLoss(v.settings, v.prior, v.f, v.y), v.mean, 1e-12);
    compare("gradient", i, exactGradient(v.settings, v.prior, v.f, v.y), v.gradient, 1e-12);
    // Where the library has none, q moves with the scores; where it has one, none found is a failure too.
    if (!v.sampled) return;
    const found = optima(v.settings, v.prior, v.eta) ?? {implicit: v.eta.map(() => NaN), sampled: v.eta.map(() => NaN)};
    for (const kind of ["implicit", "sampled"]) compare(`${kind} optimum`, i, found[kind], v[kind], 1e-12);
  });
  const known = (x) => [x === null ? 1 : 0, x ?? 0];
  DATA.spectra.classes.forEach((v, i) => {
    const scores = scoresOf(v.settings), found = gapOf(scores, v.settings.delta);
    compare("means and variances of scores", i, [scores.mean, scores.variance], [v.mean, v.variance], 1e-12);
    compare("errors", i, found.error, v.error, 1e-12);
    compare("parts of the gap", i, [...PARTS, "total"].map((name) => found[name]), v.parts, 1e-12);
    compare("offsets", i, [equalErrorOffset(scores), leastErrorOffset(scores)], [v.equal, v.least], 1e-12);
    compare("the scheme's offset", i, known(schemeOffset(v.settings)), known(v.scheme), 1e-12);
  });
  // Relative to what they are, in the tail too.
  DATA.spectra.normal.forEach(([z, p], i) => compare("Φ", i, normal(z) / p, 1, 1e-12));
  return {n: DATA.vectors.length + DATA.spectra.classes.length, failures, worst};
}
