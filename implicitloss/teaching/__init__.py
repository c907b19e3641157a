"""A page to teach with: one HTML file that computes in the browser, with the library's formulas."""
