import DeviceTestKit
import Input
import KVMEngine
import Synchronization
import Testing

@Suite struct InputHubTests {
  private static let shift: UInt32 = 0xFFE1
  private static let shiftRight: UInt32 = 0xFFE2
  private static let control: UInt32 = 0xFFE3
  private static let altGr: UInt32 = 0xFE03

  private let guest = GuestHost(commandByte: 0x40)
  private let hub: InputHub

  init() { hub = InputHub(guest.controller) }

  private func down(_ keysym: UInt32, viewer: UInt64 = 1) {
    hub.key(viewer: viewer, keysym: keysym, pressed: true)
  }

  private func up(_ keysym: UInt32, viewer: UInt64 = 1) {
    hub.key(viewer: viewer, keysym: keysym, pressed: false)
  }

  private func code(_ character: Character) -> UInt32 {
    character.unicodeScalars.first?.value ?? 0
  }

  private func bytes() -> [UInt8] { guest.drain(waiting: 0) }

  private func setLights(_ lights: UInt8) {
    guest.write(0xED)
    guest.write(lights)
    #expect(bytes() == [0xFA, 0xFA])
  }

  // MARK: Every character

  /// Scan codes in set 1, in the order in which a US keyboard's rows carry the characters.
  private static let layout: [(first: UInt8, plain: String, shifted: String)] = [
    (0x02, "1234567890-=", "!@#$%^&*()_+"), (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", "ASDFGHJKL:\"~"), (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x39, " ", ""),
  ]

  private static var expectedCodes: [Character: (code: UInt8, shift: Bool)] {
    var codes: [Character: (UInt8, Bool)] = [:]
    for row in layout {
      for (index, character) in row.plain.enumerated() {
        codes[character] = (row.first + UInt8(index), false)
      }
      for (index, character) in row.shifted.enumerated() {
        codes[character] = (row.first + UInt8(index), true)
      }
    }
    return codes
  }

  @Test func everyPrintableCharacterArrivesWhateverTheViewersShift() {
    let expected = Self.expectedCodes
    #expect(expected.count == 95)
    for value in UInt32(0x20)...0x7E {
      guard let scalar = Unicode.Scalar(value), let want = expected[Character(scalar)] else {
        Issue.record("no expectation for \(value)")
        continue
      }
      for held in [false, true] {
        for caps in [UInt8(0), 4] {
          let isLetter = scalar.properties.isAlphabetic
          let needsShift = isLetter && caps != 0 ? !want.shift : want.shift
          setLights(caps)
          if held { down(Self.shift) }
          _ = bytes()
          down(value)
          let pressed = bytes()
          up(value)
          let released = bytes()
          if held { up(Self.shift) }
          _ = bytes()
          let fixes = value != 0x20 && needsShift != held
          let shiftMake: UInt8 = needsShift ? 0x2A : 0xAA
          #expect(pressed == (fixes ? [shiftMake, want.code] : [want.code]), "\(scalar)")
          let back: UInt8 = needsShift ? 0xAA : 0x2A
          #expect(
            released == (fixes ? [want.code | 0x80, back] : [want.code | 0x80]), "\(scalar)")
        }
      }
    }
  }

  @Test func unicodeKeysymsAreTheSameKeys() {
    down(0x0100_0041)
    up(0x0100_0041)
    #expect(bytes() == [0x2A, 0x1E, 0x9E, 0xAA])
    down(0x0100_000D)
    up(0x0100_000D)
    #expect(bytes() == [0x1C, 0x9C])
  }

  @Test func unknownKeysymsAreCountedAndIgnored() {
    for keysym in [UInt32(0xE9), 0x0100_20AC, 0, .max, 0x1234_5678] {
      down(keysym)
      up(keysym)
    }
    #expect(bytes() == [])
    #expect(hub.ignoredKeys == 5)
  }

  @Test func functionCursorAndKeypadKeys() {
    for index in UInt32(0)..<10 {
      down(0xFFBE + index)
      up(0xFFBE + index)
      #expect(bytes() == [0x3B + UInt8(index), 0xBB + UInt8(index)])
    }
    down(0xFF52)
    up(0xFF52)
    #expect(bytes() == [0xE0, 0x48, 0xE0, 0xC8])
    setLights(2)
    down(0xFFB7)
    up(0xFFB7)
    #expect(bytes() == [0x47, 0xC7])
    setLights(0)
    down(0xFFB7)
    up(0xFFB7)
    #expect(bytes() == [0x2A, 0x47, 0xC7, 0xAA])
    down(0xFF95)
    up(0xFF95)
    #expect(bytes() == [0x47, 0xC7])
    down(0x1008_FF13)
    up(0x1008_FF13)
    #expect(bytes() == [0xE0, 0x30, 0xE0, 0xB0])
  }

  @Test func everyKeyOfTheKeyboardHasAKeysym() {
    var reached: Set<UInt8> = []
    for keysym in (UInt32(0x20)...0xFF).map({ $0 }) + (0xFE00...0xFFFF) {
      let viewer = GuestHost(commandByte: 0x40)
      let hub = InputHub(viewer.controller)
      hub.key(viewer: 1, keysym: keysym, pressed: true)
      reached.formUnion(viewer.drain(waiting: 0))
    }
    for code in UInt8(0x01)...0x53 where code != 0x00 {
      #expect(reached.contains(code), "set 1 code \(String(code, radix: 16))")
    }
  }

  // MARK: Shift

  @Test func aCharacterReleasedUnderAnotherNameGoesUp() {
    down(Self.shift)
    down(code("("))
    up(Self.shift)
    up(code("9"))
    #expect(bytes() == [0x2A, 0x0A, 0xAA, 0x8A])
  }

  @Test func aCharacterOfAnotherLayoutReleasedUnderAnotherNameGoesUp() {
    // A German keyboard has ( on Shift-8.
    down(Self.shift)
    down(code("("))
    up(Self.shift)
    up(code("8"))
    #expect(bytes() == [0x2A, 0x0A, 0xAA, 0x8A])
  }

  @Test func rolledOverCharactersKeepTheirLevels() {
    down(code("("))
    down(code("a"))
    up(code("("))
    down(code("_"))
    up(code("a"))
    up(code("_"))
    #expect(
      bytes() == [0x2A, 0x0A, 0xAA, 0x1E, 0x8A, 0x2A, 0x0C, 0x9E, 0x8C, 0xAA])
  }

  @Test func bothShiftsAreTakenAwayAndGivenBack() {
    down(Self.shift)
    down(Self.shiftRight)
    _ = bytes()
    down(code("/"))
    #expect(bytes() == [0xAA, 0xB6, 0x35])
    up(code("/"))
    #expect(bytes() == [0xB5, 0x2A, 0x36])
  }

  @Test func aFunctionKeySeesTheShiftThatIsHeld() {
    down(Self.shift)
    down(code("/"))
    _ = bytes()
    down(0xFFBE)
    #expect(bytes() == [0x2A, 0x3B])
  }

  @Test func altGrOfTheViewersLayoutIsUsedUp() {
    down(Self.altGr)
    #expect(bytes() == [0xE0, 0x38])
    down(code("@"))
    #expect(bytes() == [0xE0, 0xB8, 0x2A, 0x03])
    up(code("@"))
    #expect(bytes() == [0x83, 0xAA, 0xE0, 0x38])
    up(Self.altGr)
    #expect(bytes() == [0xE0, 0xB8])
  }

  @Test func lettersWithControlKeepTheShiftThatIsHeld() {
    setLights(4)
    down(Self.control)
    down(code("c"))
    up(code("c"))
    up(Self.control)
    #expect(bytes() == [0x1D, 0x2E, 0xAE, 0x9D])
  }

  @Test func repeatsAreMakeCodesOnly() {
    down(code("("))
    _ = bytes()
    for _ in 0..<3 {
      down(code("("))
      #expect(bytes() == [0x0A])
    }
    up(code("("))
    #expect(bytes() == [0x8A, 0xAA])
  }

  // MARK: Keys by their place

  private func place(_ code: UInt32, _ keysym: UInt32 = 0, pressed: Bool, viewer: UInt64 = 1) {
    hub.key(viewer: viewer, scanCode: code, keysym: keysym, pressed: pressed)
  }

  @Test func everyScanCodeArrivesAsItCame() {
    for key in PhysicalKey.allCases where key != .pause && key != .printScreen {
      let codes = key.codes
      let prefix: [UInt8] = codes.extended ? [0xE0] : []
      place(UInt32(codes.set1) | (codes.extended ? 0x80 : 0), pressed: true)
      place(UInt32(codes.set1) | (codes.extended ? 0x80 : 0), pressed: false)
      #expect(
        bytes() == prefix + [codes.set1] + prefix + [codes.set1 | 0x80], "\(key)")
    }
    place(0xE01D, pressed: true)
    place(0xE01D, pressed: false)
    #expect(bytes() == [0xE0, 0x1D, 0xE0, 0x9D])
    place(0xC6, pressed: true)
    place(0xC6, pressed: false)
    #expect(bytes() == [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5])
    place(0x54, pressed: true)
    place(0x54, pressed: false)
    #expect(bytes() == [0xE0, 0x2A, 0xE0, 0x37, 0xE0, 0xB7, 0xE0, 0xAA])
  }

  @Test func aKeyByItsPlaceMakesUpNoShift() {
    // A German viewer's Y with Shift, on the key of Z.
    place(0x2A, Self.shift, pressed: true)
    place(0x15, code("Z"), pressed: true)
    #expect(bytes() == [0x2A, 0x15])
    place(0x15, code("Z"), pressed: true)
    place(0x2A, Self.shift, pressed: false)
    place(0x15, code("z"), pressed: false)
    #expect(bytes() == [0x15, 0xAA, 0x95])
  }

  @Test func anUnknownScanCodeCountsAsItsKeysym() {
    for code in [UInt32(0), 0x60, 0x1_0000, .max] {
      place(code, self.code("a"), pressed: true)
      place(code, self.code("a"), pressed: false)
      #expect(bytes() == [0x1E, 0x9E], "\(code)")
    }
  }

  @Test func aKeyPressedByItsPlaceIsReleasedByItsKeysym() {
    place(0x1E, code("q"), pressed: true)
    up(code("q"))
    #expect(bytes() == [0x1E, 0x9E])
    down(code("a"))
    place(0x1E, code("a"), pressed: false)
    #expect(bytes() == [0x1E, 0x9E])
  }

  @Test func keysByTheirPlaceGoUpWithTheirViewer() {
    for code in UInt32(1)...0x58 { place(code, pressed: true) }
    place(0x9D, pressed: true, viewer: 2)
    hub.viewerGone(1)
    hub.viewerGone(2)
    var state = Set1Keyboard()
    state.take(bytes())
    #expect(state.down == [])
  }

  @Test func theLightsAreToldWhenTheyChange() {
    let seen = Mutex<[UInt8]>([])
    hub.lights { lights in seen.withLock { $0.append(lights.rawValue) } }
    for lights in [UInt8(2), 2, 6] { setLights(lights) }
    guest.write(0xFF)
    _ = bytes()
    setLights(1)
    guest.controller.reset()
    #expect(seen.withLock { $0 } == [0, 2, 6, 0, 1, 0])
  }

  // MARK: Viewers

  @Test func aViewerThatLeavesReleasesWhatNobodyElseHolds() {
    down(code("a"), viewer: 1)
    down(Self.control, viewer: 1)
    down(code("a"), viewer: 2)
    down(code("b"), viewer: 2)
    _ = bytes()
    hub.viewerGone(1)
    #expect(bytes() == [0x9D])
    hub.viewerGone(2)
    #expect(Set(bytes()) == [0x9E, 0xB0])
    hub.viewerGone(2)
    #expect(bytes() == [])
  }

  @Test func aViewerThatLeavesTakesItsMadeUpShiftAlong() {
    down(code("("))
    _ = bytes()
    hub.viewerGone(1)
    #expect(bytes() == [0x8A, 0xAA])
  }

  @Test func aReleaseByOneViewerLeavesTheOthersKeyDown() {
    down(code("a"), viewer: 1)
    down(code("a"), viewer: 2)
    up(code("a"), viewer: 1)
    _ = bytes()
    up(code("a"), viewer: 2)
    #expect(bytes() == [0x9E])
    up(code("a"), viewer: 2)
    #expect(bytes() == [])
  }

  @Test func releasingEverythingLeavesNothingDown() {
    down(Self.shift)
    down(code("A"))
    hub.pointer(viewer: 1, x: 0, y: 0, buttons: UInt8(1), width: 10, height: 10)
    _ = bytes()
    hub.releaseEverything()
    #expect(Set(bytes()) == [0xAA, 0x9E])
    down(code("a"))
    #expect(bytes() == [0x1E])
  }

  @Test func activityIsTold() {
    let count = Mutex(0)
    hub.activity { count.withLock { $0 += 1 } }
    down(code("a"))
    hub.pointer(viewer: 1, x: 1, y: 1, buttons: UInt8(0), width: 10, height: 10)
    #expect(count.withLock { $0 } == 2)
  }

  /// Any mix of events, from several viewers, ends with nothing down once all have left.
  @Test(arguments: [UInt64(1), 2, 3, 4, 5])
  func randomViewersNeverLeaveAKeyDown(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let keysyms: [UInt32] =
      (0x20...0x7E).map { $0 } + (0xFF80...0xFFFF).map { $0 } + [Self.altGr, 0xE9, 0xFFE1, 0xFFE1]
    var state = Set1Keyboard()
    for _ in 0..<5000 {
      let value = random.next()
      let viewer = value >> 8 & 3
      switch value & 63 {
      case 0: hub.viewerGone(viewer)
      case 1: setLightsQuietly(UInt8(value >> 16 & 7), &state)
      case 2...9:
        place(UInt32(value >> 20 & 0xFF), pressed: value & 1 << 10 != 0, viewer: viewer)
      default:
        let keysym = keysyms[Int(value >> 20 % UInt64(1 << 30)) % keysyms.count]
        hub.key(viewer: viewer, keysym: keysym, pressed: value & 1 << 10 != 0)
      }
      state.take(bytes())
    }
    for viewer in UInt64(0)..<4 { hub.viewerGone(viewer) }
    state.take(bytes())
    #expect(state.down == [])
  }

  private func setLightsQuietly(_ lights: UInt8, _ state: inout Set1Keyboard) {
    guest.write(0xED)
    guest.write(lights)
    state.take(bytes().filter { $0 != 0xFA })
  }

  // MARK: Pointer

  private func enableMouse(fiveButtons: Bool = false) {
    let knock: [UInt8] = fiveButtons ? [0xF3, 200, 0xF3, 200, 0xF3, 80] : []
    for byte in knock + [0xF3, 100, 0xF4] { guest.mouseCommand(byte) }
    _ = guest.drain()
  }

  private func point(_ x: Int, _ y: Int, _ buttons: UInt16 = 0, size: (Int, Int) = (640, 480)) {
    hub.pointer(viewer: 1, x: x, y: y, buttons: buttons, width: size.0, height: size.1)
  }

  @Test func theFirstEventSetsThePositionAndTheNextMove() {
    enableMouse()
    point(100, 100)
    #expect(guest.drain(waiting: 11_000_000) == [])
    point(110, 95)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 10, 5])
    point(110, 95)
    #expect(guest.drain(waiting: 11_000_000) == [])
  }

  @Test func anotherFrameSizeMovesNothing() {
    enableMouse()
    point(100, 100)
    point(700, 500, size: (1024, 768))
    #expect(guest.drain(waiting: 11_000_000) == [])
    point(600, 400, size: (800, 768))
    point(700, 500, size: (800, 600))
    point(700, 500, size: (1024, 600))
    point(700, 500, size: (1024, 768))
    #expect(guest.drain(waiting: 11_000_000) == [])
    point(701, 500, size: (1024, 768))
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 1, 0])
  }

  @Test func coordinatesOutsideTheFrameAreBroughtIn() {
    enableMouse()
    point(639, 0)
    point(Int.max, Int.min)
    #expect(guest.drain(waiting: 11_000_000) == [])
  }

  @Test func wheelAndSideButtons() {
    enableMouse(fiveButtons: true)
    point(5, 5)
    point(5, 5, 1 << 3)
    point(5, 5)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x0F])
    point(5, 5, 1 << 4)
    point(5, 5)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x01])
    point(5, 5, 1 << 7)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x10])
    point(5, 5, 1 << 8)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x20])
    point(5, 5, 1 << 5 | 1 << 6)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x00])
    point(5, 5)
    // The horizontal wheel to the right, then to the left with the other one in a packet of its own.
    point(5, 5, 1 << 6)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x7F])
    point(5, 5, 1 << 5 | 1 << 4)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0, 0x41, 0x08, 0, 0, 0x01])
  }

  @Test func buttonsOfTwoViewersAreOne() {
    enableMouse()
    point(5, 5)
    point(5, 5, 1)
    hub.pointer(viewer: 2, x: 5, y: 5, buttons: UInt8(1), width: 640, height: 480)
    #expect(guest.drain(waiting: 11_000_000) == [0x09, 0, 0])
    hub.viewerGone(1)
    #expect(guest.drain(waiting: 11_000_000) == [])
    hub.viewerGone(2)
    #expect(guest.drain(waiting: 11_000_000) == [0x08, 0, 0])
  }
}

/// A guest that keeps track of which keys are down, from set 1.
struct Set1Keyboard {
  private(set) var down: Set<UInt16> = []
  private var prefix: UInt16 = 0
  private var skip = 0

  mutating func take(_ bytes: [UInt8]) {
    for byte in bytes {
      if skip > 0 {
        skip -= 1
      } else if byte == 0xE1 {
        skip = 2
      } else if byte == 0xE0 {
        prefix = 0xE000
      } else {
        let code = prefix | UInt16(byte & 0x7F)
        prefix = 0
        // Shifts with a prefix are the keyboard's own make-believe.
        guard code != 0xE02A && code != 0xE036 else { continue }
        if byte & 0x80 != 0 { down.remove(code) } else { down.insert(code) }
      }
    }
  }
}
