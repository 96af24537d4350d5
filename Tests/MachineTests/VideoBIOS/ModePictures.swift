import Display
import KVMEngine

/// A picture that a guest draws by the VGA's ports and memory, in one of its modes.
struct ModePicture: Sendable, CustomStringConvertible {
  let name: String
  let draw: @Sendable (VideoRig) -> Void
  var description: String { name }

  init(_ name: String, _ draw: @escaping @Sendable (VideoRig) -> Void) {
    self.name = name
    self.draw = draw
  }
}

/// The guest's way to the VGA.
extension VideoRig {
  func out(_ port: UInt16, _ index: UInt8, _ value: UInt8) {
    adapter.writePort(port - 0x3B4, width: .byte, value: UInt32(index))
    adapter.writePort(port - 0x3B3, width: .byte, value: UInt32(value))
  }
  func sequencer(_ index: UInt8, _ value: UInt8) { out(0x3C4, index, value) }
  func graphics(_ index: UInt8, _ value: UInt8) { out(0x3CE, index, value) }
  func crtc(_ index: UInt8, _ value: UInt8) { out(0x3D4, index, value) }
  func misc(_ value: UInt8) { adapter.writePort(0x3C2 - 0x3B4, width: .byte, value: UInt32(value)) }
  func attribute(_ index: UInt8, _ value: UInt8) {
    _ = adapter.readPort(0x3DA - 0x3B4, width: .byte)
    for byte in [index | 0x20, value] {
      adapter.writePort(0x3C0 - 0x3B4, width: .byte, value: UInt32(byte))
    }
  }
  func poke(_ address: Int, _ value: UInt8) { space.store(value, at: UInt64(address)) }
  func peek(_ address: Int) -> UInt8 { space.load(UInt64(address), as: UInt8.self) }

  /// A figure that shows where every edge is: a border, diagonals, a circle, and blocks of `colors`
  /// colours, sixteen in a row.
  func figure(
    _ width: Int, _ height: Int, colors: Int, _ plot: (_ x: Int, _ y: Int, _ color: Int) -> Void
  ) {
    let bright = min(colors - 1, 15)
    let (blockWidth, blockHeight) = (width / 20, max(4, height / 40))
    for color in 0..<colors {
      let (left, top) = (
        width / 10 + color % 16 * blockWidth, height / 6 + color / 16 * blockHeight
      )
      for y in 0..<blockHeight { for x in 0..<blockWidth { plot(left + x, top + y, color) } }
    }
    for x in 0..<width {
      plot(x, 0, bright)
      plot(x, height - 1, bright)
      plot(x, x * (height - 1) / (width - 1), colors > 4 ? 12 : 1)
    }
    for y in 0..<height {
      plot(0, y, bright)
      plot(width - 1, y, bright)
    }
    let (radius, middle) = (height / 3, (x: width / 2, y: height * 3 / 5))
    for x in 0..<width {
      for y in 0..<height {
        let (dx, dy) = ((x - middle.x) * 200 / width * 8 / 5, (y - middle.y) * 200 / height)
        let distance = dx * dx + dy * dy
        let edge = radius * 200 / height
        if distance <= edge * edge, distance >= (edge - 3) * (edge - 3) {
          plot(x, y, colors > 4 ? 10 : min(colors - 1, 2))
        }
      }
    }
  }

  /// All characters in all attributes, and a cursor.
  func characters(at start: Int, columns: Int, rows: Int) {
    for index in 0..<(columns * rows) {
      poke(start + index * 2, UInt8(truncatingIfNeeded: index % columns + index / columns * 16))
      poke(start + index * 2 + 1, UInt8(truncatingIfNeeded: index / columns * 16 + index))
    }
    call(0x0200, dx: 0x0305)
  }

  /// Plots in a planar 16-colour mode by write mode 2 through the bit mask.
  func plotPlanar(_ pitch: Int, base: Int = 0xA0000) -> (Int, Int, Int) -> Void {
    graphics(5, 2)
    return { [self] x, y, color in
      graphics(8, 0x80 >> UInt8(x & 7))
      _ = peek(base + y * pitch + x / 8)
      poke(base + y * pitch + x / 8, UInt8(color))
    }
  }

  /// Plots in an unchained 256-colour mode.
  func plotUnchained(_ pitch: Int) -> (Int, Int, Int) -> Void {
    { [self] x, y, color in
      sequencer(2, 1 << UInt8(x & 3))
      poke(0xA0000 + y * pitch + x / 4, UInt8(color))
    }
  }

  /// Mode 13h without its chain, on a screen of `registers`.
  func unchain(_ registers: [(UInt8, UInt8)], misc value: UInt8? = nil) {
    call(0x0013)
    sequencer(4, 6)
    if let value { misc(value) }
    crtc(0x11, 0x0E)
    for (index, value) in registers + [(0x14, 0), (0x17, 0xE3)] { crtc(index, value) }
  }

  /// The timing of 480 lines.
  static let lines480: [(UInt8, UInt8)] = [
    (0x06, 0x0D), (0x07, 0x3E), (0x10, 0xEA), (0x11, 0x0C), (0x12, 0xDF), (0x15, 0xE7),
    (0x16, 0x06),
  ]
}

extension ModePicture {
  /// Text of every kind.
  static let text: [ModePicture] =
    [(0x00, 40), (0x01, 40), (0x02, 80), (0x03, 80)].map { mode, columns in
      ModePicture("mode 0\(mode)h") { rig in
        rig.call(UInt16(mode))
        rig.characters(at: 0xB8000, columns: columns, rows: 25)
      }
    } + [
      ModePicture("mode 07h") { rig in
        rig.call(0x0007)
        rig.characters(at: 0xB0000, columns: 80, rows: 25)
      },
      ModePicture("text, bright backgrounds") { rig in
        rig.call(0x0003)
        rig.call(0x1003, bx: 0)
        rig.characters(at: 0xB8000, columns: 80, rows: 25)
      },
      ModePicture("text, 43 rows of 350 lines") { rig in
        rig.call(0x1201, bx: 0x0030)
        rig.call(0x0003)
        rig.call(0x1112)
        rig.characters(at: 0xB8000, columns: 80, rows: 43)
      },
      ModePicture("text, 50 rows") { rig in
        rig.call(0x0003)
        rig.call(0x1112)
        rig.characters(at: 0xB8000, columns: 80, rows: 50)
      },
      ModePicture("text, 28 rows") { rig in
        rig.call(0x0003)
        rig.call(0x1111)
        rig.characters(at: 0xB8000, columns: 80, rows: 28)
      },
      ModePicture("text, 200 lines") { rig in
        rig.call(0x1200, bx: 0x0030)
        rig.call(0x0003)
        rig.characters(at: 0xB8000, columns: 80, rows: 25)
      },
      ModePicture("text, 512 characters") { rig in
        rig.call(0x0003)
        rig.call(0x1112, bx: 0x0001)  // the 8x8 font as map 1
        rig.call(0x1114, bx: 0x0000)  // back to 16 lines
        rig.call(0x1103, bx: 0x0004)  // attribute bit 3 chooses map 1
        rig.characters(at: 0xB8000, columns: 80, rows: 25)
      },
      ModePicture("text, eight dots") { rig in
        rig.call(0x0003)
        rig.sequencer(1, 0x01)
        rig.characters(at: 0xB8000, columns: 80, rows: 25)
      },
      ModePicture("text, scrolled smoothly") { rig in
        rig.call(0x0003)
        rig.characters(at: 0xB8000, columns: 80, rows: 50)
        rig.crtc(0x0D, 81)
        rig.crtc(0x08, 0x05)
        rig.attribute(0x13, 0x03)
      },
      ModePicture("text, split at line 200") { rig in
        rig.call(0x0003)
        rig.characters(at: 0xB8000, columns: 80, rows: 50)
        rig.crtc(0x0C, 0x05)
        rig.crtc(0x11, 0x0E)
        rig.crtc(0x18, 199)
        rig.crtc(0x07, 0x0F)
        rig.crtc(0x09, 0x0F)
        rig.attribute(0x10, 0x2C)
        rig.attribute(0x13, 0x05)
      },
      ModePicture("text, a block cursor") { rig in
        rig.call(0x0003)
        rig.characters(at: 0xB8000, columns: 80, rows: 25)
        rig.call(0x0100, cx: 0x000F)
      },
    ]

  /// The CGA's graphics.
  static let cga: [ModePicture] =
    [(4, 2), (5, 2), (6, 1)].map { mode, bits in
      ModePicture("mode 0\(mode)h") { rig in
        rig.call(UInt16(mode))
        let width = bits == 2 ? 320 : 640
        rig.figure(width, 200, colors: 1 << bits) { x, y, color in
          let address = 0xB8000 + (y & 1) * 0x2000 + y / 2 * 80 + x * bits / 8
          let shift = UInt8(8 - bits - x * bits % 8)
          let mask = UInt8((1 << bits) - 1) << shift
          rig.poke(address, rig.peek(address) & ~mask | UInt8(color) << shift)
        }
      }
    } + [
      ModePicture("mode 04h, the other palette") { rig in
        rig.call(0x0004)
        rig.call(0x0B00, bx: 0x0001)
        rig.call(0x0B00, bx: 0x0100)
        for y in 0..<200 {
          for x in 0..<80 { rig.poke(0xB8000 + (y & 1) * 0x2000 + y / 2 * 80 + x, 0x1B) }
        }
      }
    ]

  /// 16 colours.
  static let planar: [ModePicture] =
    [
      (0x0D, 320, 200, 16), (0x0E, 640, 200, 16), (0x0F, 640, 350, 4), (0x10, 640, 350, 16),
      (0x11, 640, 480, 2), (0x12, 640, 480, 16),
    ].map { mode, width, height, colors in
      ModePicture("mode \(mode > 15 ? "" : "0")\(String(mode, radix: 16, uppercase: true))h") {
        rig in
        rig.call(UInt16(mode))
        // Of a monochrome screen's attributes normal and bright are 1 and 9, by planes 0 and 2.
        let spread = mode == 0x0F ? [0, 1, 4, 5] : mode == 0x11 ? [0, 15] : Array(0..<16)
        let plot = rig.plotPlanar(width / 8)
        rig.figure(width, height, colors: colors) { x, y, color in plot(x, y, spread[color]) }
      }
    } + [
      ModePicture("mode 12h, every write mode") { rig in
        rig.call(0x0012)
        Self.writeModes(rig)
      },
      ModePicture("mode 0Dh, panned and split") { rig in
        rig.call(0x000D)
        rig.crtc(0x13, 40)  // a picture of 640 pixels
        let plot = rig.plotPlanar(80)
        rig.figure(640, 200, colors: 16, plot)
        rig.crtc(0x0D, 100)
        rig.crtc(0x08, 0x20)
        rig.attribute(0x13, 0x03)
        rig.crtc(0x11, 0x0E)
        rig.crtc(0x18, 0x2C)
        rig.crtc(0x07, 0x1F)
        rig.crtc(0x09, 0x80)
      },
      ModePicture("mode 10h, palette and planes") { rig in
        rig.call(0x0010)
        rig.figure(640, 350, colors: 16, rig.plotPlanar(80))
        for index in 0..<16 { rig.attribute(UInt8(index), UInt8(index * 4 + 3)) }
        rig.attribute(0x12, 0x0B)
        rig.attribute(0x10, 0x81)
        rig.attribute(0x14, 0x01)
      },
    ]

  /// Bars by write mode 0 with each logic operation, copies by mode 1, colours by mode 2, and
  /// patterns by mode 3.
  private static func writeModes(_ rig: VideoRig) {
    func bar(_ row: Int, _ body: (Int) -> Void) {
      for y in 0..<40 { for x in 0..<80 { body(0xA0000 + (row * 48 + y) * 80 + x) } }
    }
    for (row, logic) in [0, 8, 16, 24].enumerated() {
      rig.graphics(3, 0)
      rig.graphics(1, 0)
      for plane in 0..<4 {
        rig.sequencer(2, 1 << UInt8(plane))
        bar(row) { rig.poke($0, [0x0F, 0x33, 0x55, 0xFF][plane]) }
      }
      rig.sequencer(2, 0x0F)
      rig.graphics(3, UInt8(logic | row))  // with a rotation
      rig.graphics(0, 0x05)
      rig.graphics(1, 0x0C)
      rig.graphics(8, 0x7E)
      bar(row) { address in
        guard address % 80 > 40 else { return }
        _ = rig.peek(address)
        rig.poke(address, 0x96)
      }
      rig.graphics(8, 0xFF)
    }
    rig.graphics(3, 0)
    rig.graphics(1, 0)
    rig.graphics(5, 1)
    bar(4) { address in
      _ = rig.peek(address - 4 * 48 * 80)
      rig.poke(address, 0)
    }
    rig.graphics(5, 2)
    bar(5) { rig.poke($0, UInt8(truncatingIfNeeded: $0 % 80 / 5)) }
    rig.graphics(5, 3)
    rig.graphics(0, 0x0E)
    bar(6) { address in
      _ = rig.peek(address - 48 * 80)
      rig.poke(address, UInt8(truncatingIfNeeded: address % 80 * 3))
    }
    // Read mode 1 finds a colour; what it found is written as a picture.
    rig.graphics(5, 8)
    rig.graphics(2, 0x0B)
    rig.graphics(7, 0x0F)
    let found = (0..<80).map { rig.peek(0xA0000 + 3 * 48 * 80 + $0) }
    rig.graphics(5, 0)
    bar(7) { rig.poke($0, found[$0 % 80]) }
  }

  /// 256 colours, in a row and in planes.
  static let bytes: [ModePicture] = [
    ModePicture("mode 13h") { rig in
      rig.call(0x0013)
      rig.figure(320, 200, colors: 256) { x, y, color in
        rig.poke(0xA0000 + y * 320 + x, UInt8(color))
      }
      rig.call(0x0200, dx: 0x1604)
      for byte in "256 colours".utf8 { rig.call(0x0E00 | UInt16(byte), bx: 0x002A) }
    },
    ModePicture("unchained, 320x240") { rig in
      rig.unchain(VideoRig.lines480 + [(0x09, 0x41)], misc: 0xE3)
      rig.figure(320, 240, colors: 256, rig.plotUnchained(80))
    },
    ModePicture("unchained, 320x400") { rig in
      rig.unchain([(0x09, 0x40)])
      rig.figure(320, 400, colors: 256, rig.plotUnchained(80))
    },
    ModePicture("unchained, 320x480") { rig in
      rig.unchain(VideoRig.lines480 + [(0x09, 0x40)], misc: 0xE3)
      rig.figure(320, 480, colors: 256, rig.plotUnchained(80))
    },
    ModePicture("unchained, 360x480") { rig in
      rig.unchain(
        VideoRig.lines480 + [
          (0x00, 0x6B), (0x01, 0x59), (0x02, 0x5A), (0x03, 0x8E), (0x04, 0x5E), (0x05, 0x8A),
          (0x09, 0x40), (0x13, 0x2D),
        ], misc: 0xE7)
      rig.figure(360, 480, colors: 256, rig.plotUnchained(90))
    },
    ModePicture("unchained, panned and split") { rig in
      rig.unchain(VideoRig.lines480 + [(0x09, 0x41)], misc: 0xE3)
      rig.figure(320, 240, colors: 256, rig.plotUnchained(80))
      rig.crtc(0x0C, 0x12)  // 60 rows down
      rig.crtc(0x0D, 0xC5)
      rig.attribute(0x13, 0x04)
      rig.crtc(0x18, 0x2C)  // line 300
      rig.crtc(0x07, 0x3E)
      rig.crtc(0x09, 0x01)
    },
    ModePicture("unchained, latched copies") { rig in
      rig.unchain(VideoRig.lines480 + [(0x09, 0x41)], misc: 0xE3)
      rig.figure(320, 120, colors: 256, rig.plotUnchained(80))
      rig.sequencer(2, 0x0F)
      rig.graphics(5, 0x41)
      for offset in 0..<(80 * 120) {
        _ = rig.peek(0xA0000 + offset)
        rig.poke(0xA0000 + 80 * 120 + offset, 0)
      }
    },
  ]

  /// VBE's modes by depth.
  static let vesa: [ModePicture] =
    [(0x101, 8), (0x110, 15), (0x111, 16), (0x112, 24)].map { number, depth in
      ModePicture("VBE \(String(number, radix: 16))h, \(depth) bits") { rig in
        rig.call(0x4F02, bx: UInt16(number))
        let bytes = (depth + 7) / 8
        var bank = -1
        let colors: [UInt32] = (0..<16).map { index in
          let (red, green, blue) = (
            UInt32(index >> 2 & 1), UInt32(index >> 1 & 1), UInt32(index & 1)
          )
          let level: UInt32 = index > 7 ? 31 : 20
          switch depth {
          case 15: return (red << 10 | green << 5 | blue) * level
          case 16: return (red << 11 | green << 6 | blue) * level
          case 24: return (red << 16 | green << 8 | blue) * level * 8
          default: return UInt32(index)
          }
        }
        let pitch = Int(rig.call(0x4F06, bx: 1).bx)
        rig.figure(640, 480, colors: 16) { x, y, color in
          let offset = y * pitch + x * bytes
          for byte in 0..<bytes {
            if (offset + byte) >> 16 != bank {
              bank = (offset + byte) >> 16
              rig.call(0x4F05, dx: UInt16(bank))
            }
            rig.poke(
              0xA0000 + (offset + byte) % 0x10000,
              UInt8(truncatingIfNeeded: colors[color] >> UInt32(byte * 8)))
          }
        }
      }
    } + [
      ModePicture("VBE 102h, planes") { rig in
        rig.call(0x4F02, bx: 0x0102)
        rig.figure(800, 600, colors: 16, rig.plotPlanar(100))
      }
    ]

  static let all = text + cga + planar + bytes + vesa
}
