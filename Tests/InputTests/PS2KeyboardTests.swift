import DeviceTestKit
import Input
import KVMEngine
import Testing

@testable import Input

@Suite struct PS2KeyboardTests {
  // MARK: Scan codes

  @Test func translationAgreesWithTheTablesOfSets1And2() {
    for key in PhysicalKey.allCases {
      let codes = key.codes
      #expect(ScanCodeTranslation.translate(codes.set2) == codes.set1, "\(key)")
    }
  }

  @Test func noTwoKeysSendTheSame() {
    for set in [UInt8(1), 2] {
      var seen: [[UInt8]: PhysicalKey] = [:]
      for key in PhysicalKey.allCases {
        let guest = GuestHost()
        guest.write(0xF0)
        guest.write(set)
        #expect(guest.drain() == [0xFA, 0xFA])
        let codes = guest.codes(of: key)
        #expect(
          !codes.isEmpty && seen[codes] == nil, "\(key) and \(String(describing: seen[codes]))")
        seen[codes] = key
      }
    }
  }

  /// Both ways to set 1 agree for every key and modifier.
  @Test func translatedSet2IsSet1() {
    let modifiers: [[PhysicalKey]] = [
      [], [.leftShift], [.rightShift], [.leftShift, .rightShift], [.leftControl], [.leftAlt],
    ]
    for held in modifiers {
      for numLock in [UInt8(0), 2] {
        for key in PhysicalKey.allCases where !held.contains(key) {
          let translated = GuestHost(commandByte: 0x40)
          let native = GuestHost()
          native.write(0xF0)
          native.write(1)
          for guest in [translated, native] {
            guest.write(0xED)
            guest.write(numLock)
            _ = guest.drain()
            guest.controller.strokes(held.map { KeyStroke($0, pressed: true) })
            _ = guest.drain()
          }
          let expected = native.codes(of: key)
          #expect(translated.codes(of: key) == expected, "\(key) with \(held), lights \(numLock)")
        }
      }
    }
  }

  @Test func cursorKeysSendPrefixes() {
    #expect(GuestHost().codes(of: .up) == [0xE0, 0x75, 0xE0, 0xF0, 0x75])
    #expect(GuestHost(commandByte: 0x40).codes(of: .up) == [0xE0, 0x48, 0xE0, 0xC8])
  }

  @Test func cursorKeysMakeShiftUpUnderNumLock() {
    let guest = GuestHost()
    guest.write(0xED)
    guest.write(2)
    _ = guest.drain()
    #expect(
      guest.codes(of: .insert)
        == [0xE0, 0x12, 0xE0, 0x70, 0xE0, 0xF0, 0x70, 0xE0, 0xF0, 0x12])
    guest.press(.leftShift)
    _ = guest.drain(waiting: 0)
    #expect(guest.codes(of: .insert) == [0xE0, 0x70, 0xE0, 0xF0, 0x70])
  }

  @Test func cursorKeysTakeShiftAway() {
    let guest = GuestHost()
    guest.press(.rightShift)
    _ = guest.drain(waiting: 0)
    #expect(
      guest.codes(of: .delete)
        == [0xE0, 0xF0, 0x59, 0xE0, 0x71, 0xE0, 0xF0, 0x71, 0xE0, 0x59])
    #expect(
      guest.codes(of: .keypadDivide)
        == [0xE0, 0xF0, 0x59, 0xE0, 0x4A, 0xE0, 0xF0, 0x4A, 0xE0, 0x59])
  }

  @Test func shiftThatWentUpMeanwhileDoesNotComeBack() {
    let guest = GuestHost()
    guest.press(.leftShift, .home)
    guest.release(.leftShift, .home)
    #expect(
      guest.drain(waiting: 0) == [
        0x12, 0xE0, 0xF0, 0x12, 0xE0, 0x6C, 0xF0, 0x12, 0xE0, 0xF0, 0x6C,
      ])
  }

  @Test func printScreenHasThreeForms() {
    let guest = GuestHost()
    #expect(
      guest.codes(of: .printScreen)
        == [0xE0, 0x12, 0xE0, 0x7C, 0xE0, 0xF0, 0x7C, 0xE0, 0xF0, 0x12])
    guest.press(.leftControl)
    _ = guest.drain(waiting: 0)
    #expect(guest.codes(of: .printScreen) == [0xE0, 0x7C, 0xE0, 0xF0, 0x7C])
    guest.press(.rightAlt)
    _ = guest.drain(waiting: 0)
    #expect(guest.codes(of: .printScreen) == [0x84, 0xF0, 0x84])
  }

  @Test func pauseSendsAllAtOnceAndIsBreakWithControl() {
    let guest = GuestHost()
    #expect(guest.codes(of: .pause) == [0xE1, 0x14, 0x77, 0xE1, 0xF0, 0x14, 0xF0, 0x77])
    guest.press(.rightControl)
    _ = guest.drain(waiting: 0)
    #expect(guest.codes(of: .pause) == [0xE0, 0x7E, 0xE0, 0xF0, 0x7E])
    let translated = GuestHost(commandByte: 0x40)
    #expect(translated.codes(of: .pause) == [0xE1, 0x1D, 0x45, 0xE1, 0x9D, 0xC5])
  }

  @Test func set3HasNoPrefixes() {
    let guest = GuestHost()
    guest.write(0xF0)
    guest.write(3)
    #expect(guest.drain() == [0xFA, 0xFA])
    #expect(guest.codes(of: .up) == [0x63, 0xF0, 0x63])
    #expect(guest.codes(of: .pause) == [0x62, 0xF0, 0x62])
    guest.write(0xF9)
    #expect(guest.drain() == [0xFA])
    #expect(guest.codes(of: .a) == [0x1C])
    guest.write(0xFB)
    guest.write(0x1C)
    guest.write(0x32)
    guest.write(0xEE)
    #expect(guest.drain() == [0xFA, 0xFA, 0xFA, 0xEE])
  }

  // MARK: Commands

  @Test func commandsAreAnswered() {
    let guest = GuestHost()
    let exchanges: [([UInt8], [UInt8])] = [
      ([0xEE], [0xEE]), ([0xF2], [0xFA, 0xAB, 0x83]), ([0xF4], [0xFA]), ([0xF5], [0xFA]),
      ([0xF6], [0xFA]), ([0xF3, 0x00], [0xFA, 0xFA]), ([0xED, 0x07], [0xFA, 0xFA]),
      ([0xF0, 0x00], [0xFA, 0xFA, 0x02]), ([0xFF], [0xFA, 0xAA]), ([0xFE], [0xAA]),
      ([0xEF], [0xFE]), ([0xF1], [0xFE]), ([0x12], [0xFE]), ([0xF0, 0x07], [0xFA, 0xFE]),
      ([0xED, 0xEE], [0xFA, 0xEE]),
    ]
    for (sent, answer) in exchanges {
      for byte in sent { guest.write(byte) }
      #expect(guest.drain() == answer, "\(sent)")
    }
  }

  @Test func identityAndScanSetAreTranslated() {
    let guest = GuestHost(commandByte: 0x40)
    guest.write(0xF2)
    #expect(guest.drain() == [0xFA, 0xAB, 0x41])
    for (set, translated) in [(UInt8(2), UInt8(0x41)), (1, 0x43), (3, 0x3F)] {
      guest.write(0xF0)
      guest.write(set)
      guest.write(0xF0)
      guest.write(0)
      #expect(guest.drain() == [0xFA, 0xFA, 0xFA, 0xFA, translated])
    }
  }

  @Test func lightsFollowTheHost() {
    let guest = GuestHost()
    guest.write(0xED)
    guest.write(0x06)
    #expect(guest.controller.keyboardLEDs == [.numLock, .capsLock])
    guest.write(0xFF)
    #expect(guest.controller.keyboardLEDs == [])
  }

  @Test func scanCodesWaitForAnUnfinishedCommand() {
    let guest = GuestHost(commandByte: 0x40)
    guest.write(0xED)
    guest.press(.a)
    #expect(guest.drain() == [0xFA])
    guest.write(0x00)
    #expect(guest.drain(waiting: 0) == [0xFA, 0x1E])
  }

  @Test func anAnswerBetweenPrefixAndCodeKeepsTheBreak() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.f1, .up)
    guest.release(.up)
    #expect(guest.read() == 0x3B)
    #expect(guest.read() == 0xE0)
    #expect(guest.read() == 0x48)
    #expect(guest.read() == 0xE0)
    guest.write(0xEE)
    // The break code is in the buffer already, or comes after the answer, but is a break code.
    let rest = guest.drain(waiting: 0)
    #expect(rest.filter { $0 != 0xEE } == [0xC8])
  }

  @Test func disabledKeyboardsReportNothing() {
    let guest = GuestHost()
    guest.write(0xF5)
    guest.press(.a)
    guest.release(.a)
    #expect(guest.drain() == [0xFA])
    guest.write(0xF4)
    #expect(guest.drain() == [0xFA])
    #expect(guest.codes(of: .a) == [0x1C, 0xF0, 0x1C])
  }

  // MARK: Typematic

  @Test func aHeldKeyRepeatsAfterHalfASecond() {
    let guest = GuestHost(commandByte: 0x41)
    guest.press(.a)
    #expect(guest.read() == 0x1E)
    guest.clock.advance(499_000_000)
    #expect(guest.lines.risingEdges(1) == 1)
    guest.clock.advance(2_000_000)
    #expect(guest.read() == 0x1E)
    var repeats = 0
    for _ in 0..<1000 {
      guest.clock.advance(1_000_000)
      if guest.status & 1 != 0 {
        #expect(guest.read() == 0x1E)
        repeats += 1
      }
    }
    #expect((10...11).contains(repeats))
    guest.release(.a)
    #expect(guest.drain() == [0x9E])
    guest.clock.advance(2_000_000_000)
    #expect(guest.drain() == [])
  }

  @Test func rateAndDelayAreSet() {
    let guest = GuestHost(commandByte: 0x40)
    guest.write(0xF3)
    guest.write(0x00)  // 250 ms, 30 a second
    #expect(guest.drain(waiting: 0) == [0xFA, 0xFA])
    guest.press(.x)
    guest.clock.advance(249_000_000)
    #expect(guest.drain(waiting: 0) == [0x2D])
    var repeats = 0
    for _ in 0..<1000 {
      guest.clock.advance(1_000_000)
      repeats += guest.drain(waiting: 0).count
    }
    #expect((29...31).contains(repeats))
  }

  @Test func theLastKeyRepeatsAndAnotherOnesReleaseDoesNotStopIt() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.a, .b)
    guest.release(.a)
    #expect(guest.drain(waiting: 0) == [0x1E, 0x30, 0x9E])
    guest.clock.advance(501_000_000)
    #expect(guest.drain(waiting: 0) == [0x30])
  }

  @Test func aViewersRepeatTakesOver() {
    let guest = GuestHost(commandByte: 0x40)
    guest.press(.a)
    guest.clock.advance(400_000_000)
    _ = guest.drain(waiting: 0)
    guest.press(.a)
    #expect(guest.drain(waiting: 0) == [0x1E])
    guest.clock.advance(3_000_000_000)
    #expect(guest.drain(waiting: 0) == [])
    guest.release(.a)
    #expect(guest.drain(waiting: 0) == [0x9E])
  }

  @Test func aBusyGuestFindsNoHeapOfRepeats() {
    let guest = GuestHost(commandByte: 0x41)
    guest.press(.a)
    guest.clock.advance(10_000_000_000)
    for _ in 0..<50 { guest.press(.a) }
    #expect(guest.drain(waiting: 700_000).count <= 2)
  }

  // MARK: Buffers

  @Test func textThatComesAtOnceIsNotLost() {
    let guest = GuestHost(commandByte: 0x40)
    var expected: [UInt8] = []
    for index in 0..<200 {
      let key: PhysicalKey = index % 2 == 0 ? .a : .up
      guest.press(key)
      guest.release(key)
      expected += index % 2 == 0 ? [0x1E, 0x9E] : [0xE0, 0x48, 0xE0, 0xC8]
    }
    #expect(guest.drain(waiting: 0) == expected)
  }

  @Test func lostKeysAreToldOnceAndNoKeySticks() {
    let guest = GuestHost()
    for _ in 0..<1000 {
      for key in [PhysicalKey.a, .leftShift, .up, .f7] {
        guest.press(key)
        guest.release(key)
      }
    }
    guest.press(.z)
    guest.release(.z)
    let bytes = guest.drain(waiting: 0)
    #expect(bytes.count { $0 == 0x00 } == 1)
    let breaks = bytes.count { $0 == 0xF0 }
    let makes = bytes.count { ![0x00, 0xF0, 0xE0].contains($0) } - breaks
    #expect(makes == breaks)
    #expect(guest.codes(of: .z) == [0x1A, 0xF0, 0x1A])
  }

  @Test func overrunInSet1IsFF() {
    let guest = GuestHost()
    guest.write(0xF0)
    guest.write(1)
    _ = guest.drain()
    for _ in 0..<1000 {
      guest.press(.a)
      guest.release(.a)
    }
    #expect(guest.drain(waiting: 0).count { $0 == 0xFF } == 1)
  }
}
