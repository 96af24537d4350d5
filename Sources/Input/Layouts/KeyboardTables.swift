/// The keyboard layouts that there are. `scripts/keyboard-layouts.py` writes them from Debian's
/// xkb-data, so that nothing has to be read, and no keymap compiled, when a desktop starts.
enum KeyboardTables {
  /// One layout.
  struct Row: Sendable {
    let name: String
    /// What people call it.
    let title: String
    /// Rows of ``keys`` for each level (plain, Shift, AltGr, both; the last two only where the layout
    /// has AltGr): the characters on the keys with spaces between, `-` for none and `\-` for a
    /// minus, dead keys by ``DeadKey/name``. Keys at the end of a row may be left out.
    let levels: String
  }

  static let all = western + northern + eastern

  /// The keys of a row of ``Row/levels``.
  static let keys: [[PhysicalKey]] = [
    [
      .grave, .digit1, .digit2, .digit3, .digit4, .digit5, .digit6, .digit7, .digit8, .digit9,
      .digit0, .minus, .equal, .yen,
    ],
    [.q, .w, .e, .r, .t, .y, .u, .i, .o, .p, .leftBracket, .rightBracket],
    [.a, .s, .d, .f, .g, .h, .j, .k, .l, .semicolon, .quote, .backslash],
    [.nonUSBackslash, .z, .x, .c, .v, .b, .n, .m, .comma, .period, .slash, .ro],
  ]
}
