/// What is on the screen, as the registers have it: everything that drawing needs to know, and
/// nothing that a guest could change meanwhile.
enum ScreenMode: Equatable, Sendable {
  /// A black screen of whatever size it had.
  case blank
  case text(TextMode)
  /// 16 or 4 colours from planes, or bytes of the planes in turn.
  case planar(PlanarMode)
  case linear(LinearMode)

  init(_ chips: VideoChips) {
    if chips.attribute.screenOff || chips.sequencer.screenOff {
      self = .blank
    } else if chips.dispi.isEnabled {
      self =
        chips.dispi.depth == 4 ? .planar(PlanarMode(chips.dispi)) : .linear(LinearMode(chips.dispi))
    } else if chips.graphics.isGraphics {
      self = .planar(PlanarMode(chips))
    } else {
      self = .text(TextMode(chips))
    }
  }

  /// The picture's size; nil where it keeps the one it had.
  var size: FrameSize? {
    switch self {
    case .blank: nil
    case .text(let mode): mode.size
    case .planar(let mode): mode.size
    case .linear(let mode): mode.size
    }
  }
}

/// One part of a split screen.
struct ScanBand: Equatable, Sendable {
  /// The first line of the picture, and the one after the last.
  var top: Int
  var bottom: Int
  /// The address counter of the first row.
  var address: Int
  /// The line of its row that the first line shows.
  var firstLine: Int
  /// Pixels that the picture is moved left by.
  var pan: Int

  /// The bands of a picture of `height` lines, each of which is `repeats` lines on the screen.
  static func split(
    _ chips: VideoChips, height: Int, repeats: Int, firstLine: Int, pan: Int
  ) -> [ScanBand] {
    let line = (chips.crtc.lineCompare + repeats) / repeats
    let upper = ScanBand(
      top: 0, bottom: min(line, height), address: chips.crtc.startAddress,
      firstLine: firstLine, pan: pan)
    guard line < height else { return [upper] }
    let lowerPan = chips.attribute.pansAboveSplitOnly ? 0 : pan
    return [
      upper, ScanBand(top: line, bottom: height, address: 0, firstLine: 0, pan: lowerPan),
    ]
  }
}

/// A text mode.
struct TextMode: Equatable, Sendable {
  var size: FrameSize
  /// Cells in a row; one more where the picture is panned.
  var columns: Int
  /// Pixels of a cell: 8 or 9, and 1 to 32.
  var cellWidth: Int
  var cellHeight: Int
  var bands: [ScanBand]
  /// Addresses from one row to the next.
  var pitch: Int
  var addressing: PlaneAddressing
  var fontA: Int
  var fontB: Int
  var lineGraphics: Bool
  var blinks: Bool
  var underline: Int
  /// The text window stands for planes 0 and 1.
  var textInWindow: Bool

  init(_ chips: VideoChips) {
    let crtc = chips.crtc
    let repeats = crtc.doubleScan ? 2 : 1
    cellWidth = chips.sequencer.eightDots ? 8 : 9
    cellHeight = crtc.rowHeight
    columns = crtc.charactersShown
    size = FrameSize(width: columns * cellWidth, height: (crtc.linesShown + repeats - 1) / repeats)
    var pan = chips.attribute.panning
    if cellWidth == 9 { pan = pan >= 8 ? 0 : pan + 1 } else { pan &= 7 }
    bands = ScanBand.split(
      chips, height: size.height, repeats: repeats,
      firstLine: min(crtc.presetRow, cellHeight - 1), pan: pan)
    pitch = crtc.pitch
    addressing = crtc.addressing
    addressing.rowBit0To13 = false
    addressing.rowBit1To14 = false
    fontA = chips.sequencer.fontA
    fontB = chips.sequencer.fontB
    lineGraphics = chips.attribute.lineGraphics
    blinks = chips.attribute.blinks
    underline = crtc.underline
    textInWindow = chips.textInWindow
  }
}

/// A mode whose pixels come from the planes.
struct PlanarMode: Equatable, Sendable {
  enum Pixels: Equatable, Sendable {
    /// A bit of each plane (16 colours).
    case bits
    /// A bit pair of plane 0 or 1, with one of plane 2 or 3 (the CGA's 4 colours).
    case bitPairs
    /// A byte of one plane after the other (256 colours: mode 13h and its planar relatives).
    case bytes
  }

  var size: FrameSize
  var pixels: Pixels
  /// Words of the planes that one line shows, without the one that panning may need.
  var words: Int
  /// Lines of a row, which share its address: 1 unless a line chooses the part of memory.
  var rowHeight: Int
  var bands: [ScanBand]
  /// Addresses from one row to the next.
  var pitch: Int
  var addressing: PlaneAddressing
  /// Offsets wrap at one more than this.
  var offsetMask: Int

  /// Pixels that a word becomes.
  var pixelsPerWord: Int { pixels == .bytes ? 4 : 8 }

  init(_ chips: VideoChips) {
    let crtc = chips.crtc
    pixels =
      chips.graphics.shift256 ? .bytes : chips.graphics.interleavedShift ? .bitPairs : .bits
    words = crtc.charactersShown
    addressing = crtc.addressing
    var repeats = crtc.doubleScan ? 2 : 1
    rowHeight = crtc.rowHeight
    if !addressing.rowBit0To13 && !addressing.rowBit1To14 {
      repeats *= rowHeight
      rowHeight = 1
    }
    let perWord = pixels == .bytes ? 4 : 8
    size = FrameSize(width: words * perWord, height: (crtc.linesShown + repeats - 1) / repeats)
    let panning = chips.attribute.panning & 7
    bands = ScanBand.split(
      chips, height: size.height, repeats: repeats,
      firstLine: rowHeight == 1 ? 0 : min(crtc.presetRow, rowHeight - 1),
      pan: pixels == .bytes ? panning >> 1 : panning)
    pitch = crtc.pitch
    offsetMask = 0xFFFF
  }

  /// The 16-colour mode of the Bochs display interface.
  init(_ dispi: BochsDispi) {
    size = FrameSize(width: Int(dispi.width), height: Int(dispi.height))
    pixels = .bits
    words = (Int(dispi.width) + 7) / 8
    rowHeight = 1
    pitch = dispi.pitch
    bands = [
      ScanBand(
        top: 0, bottom: size.height, address: Int(dispi.y) * dispi.pitch + Int(dispi.x) / 8,
        firstLine: 0, pan: Int(dispi.x) % 8)
    ]
    addressing = PlaneAddressing()
    offsetMask = VideoMemory.wordMask
  }
}

/// A linear mode of the Bochs display interface.
struct LinearMode: Equatable, Sendable {
  var size: FrameSize
  /// Bits of a pixel: 8, 15, 16, 24 or 32.
  var depth: Int
  /// The first pixel's byte.
  var start: Int
  /// Bytes from one row to the next.
  var pitch: Int

  var bytesPerPixel: Int { (depth + 7) / 8 }

  init(_ dispi: BochsDispi) {
    size = FrameSize(width: Int(dispi.width), height: Int(dispi.height))
    depth = Int(dispi.depth)
    pitch = dispi.pitch
    start = Int(dispi.y) * dispi.pitch + Int(dispi.x) * dispi.bytesPerPixel
  }
}
