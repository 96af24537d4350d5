/// Where the beam is, for input status 1 and for blinking (IBM VGA Technical Reference, "Input Status
/// Register 1" and "Video Modes": 70 frames a second, 60 in the modes of 480 lines).
///
/// The retrace bit stays set from the start of retrace to the end of the frame, more than the two
/// lines of a real tube: a guest that polls through exits would miss those.
struct DisplayTiming {
  /// Nanoseconds of half a period of the cursor: 16 frames at 70 Hz.
  static let cursorHalfPeriod: UInt64 = 228_571_428
  /// Nanoseconds of half a period of blinking characters: 32 frames at 70 Hz.
  static let characterHalfPeriod: UInt64 = 457_142_857

  private static let displayDisabled: UInt8 = 0x01
  private static let verticalRetrace: UInt8 = 0x08

  /// Nanoseconds of one frame.
  let framePeriod: UInt64
  private let lines: UInt64
  private let linesShown: UInt64
  private let retraceStart: UInt64
  private let charactersShown: UInt64
  private let charactersTotal: UInt64

  init(_ crtc: CRTController) {
    lines = UInt64(max(crtc.linesTotal, 2))
    framePeriod = lines > 480 ? 16_666_667 : 14_285_714
    linesShown = min(UInt64(crtc.linesShown), lines - 1)
    let start = UInt64(crtc.retraceStart)
    retraceStart = start >= linesShown && start < lines ? start : linesShown
    charactersTotal = UInt64(crtc.charactersTotal)
    charactersShown = min(UInt64(crtc.charactersShown), charactersTotal)
  }

  /// Input status 1 at `now` (nanoseconds).
  func status(at now: UInt64) -> UInt8 {
    let position = now % framePeriod * lines
    let line = position / framePeriod
    let character = position % framePeriod * charactersTotal / framePeriod
    if line >= retraceStart { return Self.displayDisabled | Self.verticalRetrace }
    let shown = line < linesShown && character < charactersShown
    return shown ? 0 : Self.displayDisabled
  }
}
