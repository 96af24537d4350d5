import Display

/// The demo desktop's still scene, a text pad.
enum PadScene {
  /// As `guest_scene` counts.
  static let number: UInt32 = 1

  /// How many cells of the pad's first line have ink in them, above the caret's rows.
  static func inkedCells(_ run: GuestRun) -> Int {
    let frame = run.machine.capture()
    guard frame.size.width == 1024 else { return 0 }
    return (0..<92).count { column in
      (128..<141).contains { y in
        (0..<8).contains { x in
          frame.pixels[y * 1024 + 144 + column * 8 + x] != 0xF8F4EA
        }
      }
    }
  }
}
