import KVMEngine
import Testing

@testable import Machine

@Suite struct KeyboardBIOSTests {
  @Test(
    arguments: [
      (0x1E, 0x1E61, 0x1E41, 0x1E01, 0x1E00), (0x02, 0x0231, 0x0221, nil, 0x7800),
      (0x03, 0x0332, 0x0340, 0x0300, 0x7900), (0x0F, 0x0F09, 0x0F00, 0x9400, 0xA500),
      (0x0E, 0x0E08, 0x0E08, 0x0E7F, 0x0E00), (0x1C, 0x1C0D, 0x1C0D, 0x1C0A, 0x1C00),
      (0x3B, 0x3B00, 0x5400, 0x5E00, 0x6800), (0x44, 0x4400, 0x5D00, 0x6700, 0x7100),
      (0x57, 0x8500, 0x8700, 0x8900, 0x8B00), (0x35, 0x352F, 0x353F, nil, 0x3500),
      (0x39, 0x3920, 0x3920, 0x3920, 0x3920), (0x01, 0x011B, 0x011B, 0x011B, 0x0100),
    ] as [(UInt8, UInt16, UInt16, UInt16?, UInt16?)])
  func keyGivesItsCodes(
    code: UInt8, plain: UInt16, shift: UInt16, control: UInt16?, alt: UInt16?
  ) throws {
    let fixture = try FirmwareFixture()
    fixture.scan(code, code | 0x80)
    #expect(fixture.key() == plain)
    fixture.scan(0x2A, code, code | 0x80, 0xAA)
    #expect(fixture.key() == shift)
    fixture.scan(0x1D, code, code | 0x80, 0x9D)
    #expect(fixture.key() == control)
    fixture.scan(0x38, code, code | 0x80, 0xB8)
    #expect(fixture.key() == alt)
    #expect(fixture.data.byte(0x17) == 0)
  }

  @Test func extendedKeysDifferFromTheKeypad() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0xE0, 0x48, 0xE0, 0xC8)
    fixture.scan(0xE0, 0x48, 0xE0, 0xC8)
    fixture.scan(0xE0, 0x1C, 0xE0, 0x9C)
    fixture.scan(0xE0, 0x1C, 0xE0, 0x9C)
    fixture.scan(0xE0, 0x35, 0xE0, 0xB5)
    fixture.scan(0x48, 0xC8)
    #expect(fixture.key(0x10) == 0x48E0)
    #expect(fixture.key(0x00) == 0x4800)
    #expect(fixture.key(0x10) == 0xE00D)
    #expect(fixture.key(0x00) == 0x1C0D)
    #expect(fixture.key(0x00) == 0x352F)
    #expect(fixture.key(0x10) == 0x4800)
    #expect(fixture.key(0x10) == nil)
  }

  @Test func oldReadHidesNewKeys() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x57, 0xD7)
    fixture.scan(0x38, 0x01, 0x81, 0xB8)
    #expect(fixture.call(0x16, flags: 0x0202) { $0.ah = 0x01 }.call.zero)
    #expect(fixture.key(0x11) != nil)
    fixture.scan(0x57, 0xD7, 0x1E, 0x9E)
    #expect(fixture.key(0x00) == 0x1E61)
  }

  @Test func peekLeavesTheKeystroke() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x1E)
    let peeked = fixture.call(0x16, flags: 0x0242) { $0.ah = 0x01 }
    #expect(!peeked.call.zero && peeked.call.ax == 0x1E61 && peeked.outcome == .done)
    #expect(fixture.key(0x00) == 0x1E61)
    #expect(fixture.call(0x16) { $0.ah = 0x01 }.call.zero)
  }

  @Test func readWaitsAndLeavesTheCallersRegisters() throws {
    let result = try FirmwareFixture().call(0x16) { $0.ax = 0x00AA }
    #expect(result.outcome == .wait && result.call.ax == 0x00AA)
  }

  @Test func bufferHoldsFifteenAndWraps() throws {
    let fixture = try FirmwareFixture()
    for _ in 0..<3 {
      for index in 0..<15 {
        #expect(
          fixture.call(0x16) {
            $0.ah = 5; $0.cx = UInt16(0x1100 + index)
          }.call.al == 0)
      }
      #expect(
        fixture.call(0x16) {
          $0.ah = 5; $0.cx = 0x2222
        }.call.al == 1)
      #expect(fixture.scan(0x1E) == 0)
      for index in 0..<15 { #expect(fixture.key() == UInt16(0x1100 + index)) }
      #expect(fixture.key() == nil)
    }
  }

  @Test func bufferThatAProgramMovedIsUsed() throws {
    let fixture = try FirmwareFixture()
    fixture.data.set(0x80, word: 0x200)
    fixture.data.set(0x82, word: 0x204)
    fixture.data.set(0x1A, word: 0x200)
    fixture.data.set(0x1C, word: 0x200)
    #expect(fixture.scan(0x1E) == 1)
    #expect(fixture.scan(0x1E) == 0)
    #expect(fixture.data.word(0x200) == 0x1E61)
    #expect(fixture.key() == 0x1E61)
    fixture.scan(0x30)
    #expect(fixture.data.word(0x1C) == 0x200)
    #expect(fixture.key() == 0x3062)
  }

  @Test func capsLockTurnsLettersOnly() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x3A, 0xBA)
    #expect(fixture.data.byte(0x17) == 0x40)
    fixture.scan(0x1E, 0x02, 0x2A, 0x1E, 0xAA)
    #expect(fixture.key() == 0x1E41)
    #expect(fixture.key() == 0x0231)
    #expect(fixture.key() == 0x1E61)
    fixture.scan(0x3A, 0x3A, 0x3A, 0xBA)
    #expect(fixture.data.byte(0x17) == 0)
  }

  @Test func numLockTurnsTheKeypad() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x47)
    #expect(fixture.key() == 0x4700)
    fixture.scan(0x45, 0xC5, 0x47, 0x4C)
    #expect(fixture.key() == 0x4737)
    #expect(fixture.key() == 0x4C35)
    fixture.scan(0x2A, 0x47, 0xAA)
    #expect(fixture.key() == 0x4700)
    fixture.scan(0xE0, 0x2A, 0xE0, 0x47)
    #expect(fixture.key() == 0x47E0)
  }

  @Test func altAndKeypadEnterACharacter() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x38, 0x4F, 0xCF, 0x49, 0xC9, 0x4C, 0xCC)
    #expect(fixture.key() == nil)
    #expect(fixture.scan(0xB8) == 1)
    #expect(fixture.key() == 195)
  }

  @Test func insertTogglesItsBitOnce() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0xE0, 0x52, 0xE0, 0x52)
    #expect(fixture.data.byte(0x17) & 0x80 != 0)
    fixture.scan(0xE0, 0xD2)
    #expect(fixture.data.byte(0x18) & 0x80 == 0)
    #expect(fixture.key() == 0x52E0)
    fixture.scan(0xE0, 0x52, 0xE0, 0xD2)
    #expect(fixture.data.byte(0x17) & 0x80 == 0)
  }

  @Test func bothSidesOfAShiftCount() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x1D, 0xE0, 0x1D, 0x9D)
    #expect(fixture.data.byte(0x17) == 0x04 && fixture.data.byte(0x96) & 0x04 != 0)
    #expect(fixture.call(0x16) { $0.ah = 0x12 }.call.ax == 0x0404)
    fixture.scan(0xE0, 0x9D, 0x36)
    #expect(fixture.call(0x16) { $0.ah = 0x02 }.call.al == 0x01)
  }

  @Test func locksSetTheLights() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x3A)
    #expect(fixture.ports.writes(to: 0x60).last == 0xED)
    fixture.scan(0xFA)
    #expect(fixture.ports.writes(to: 0x60).last == 0x04)
    fixture.scan(0xFA)
    #expect(fixture.data.byte(0x97) & 0x47 == 0x04)
    let count = fixture.ports.writes(to: 0x60).count
    fixture.scan(0xBA, 0x1E)
    #expect(fixture.ports.writes(to: 0x60).count == count)
  }

  @Test func breakEmptiesTheBuffer() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0x1E, 0x1D)
    #expect(fixture.scan(0xE0, 0x46) == KeyboardBIOS.Action.breakKey.rawValue)
    #expect(fixture.data.byte(0x71) == 0x80)
    #expect(fixture.key() == 0x0000)
    #expect(fixture.key() == nil)
  }

  @Test func pauseHoldsUntilAKey() throws {
    let fixture = try FirmwareFixture()
    fixture.scan(0xE1, 0x1D)
    #expect(fixture.scan(0x45) == KeyboardBIOS.Action.hold.rawValue)
    #expect(fixture.scan(0xE1, 0x9D, 0xC5) == 0)
    #expect(fixture.data.byte(0x18) & 0x08 != 0 && fixture.data.byte(0x17) == 0)
    fixture.scan(0x2A)
    #expect(fixture.data.byte(0x18) & 0x08 != 0)
    fixture.scan(0x1E)
    #expect(fixture.data.byte(0x18) & 0x08 == 0 && fixture.key() == nil)
  }

  @Test func actionsOfSpecialKeys() throws {
    typealias Action = KeyboardBIOS.Action
    let fixture = try FirmwareFixture()
    #expect(fixture.scan(0xE0, 0x2A, 0xE0, 0x37) == Action.printScreen.rawValue)
    fixture.scan(0xE0, 0xB7, 0xE0, 0xAA, 0x38)
    #expect(fixture.scan(0x54) == Action.systemPressed.rawValue)
    #expect(fixture.scan(0x54) == Action.nothing.rawValue)
    #expect(fixture.scan(0xD4) == Action.systemReleased.rawValue)
    fixture.scan(0x1D)
    #expect(fixture.scan(0xE0, 0x53) == Action.reset.rawValue)
    #expect(fixture.data.word(0x72) == 0x1234)
  }

  @Test func interruptEndsAtTheController() throws {
    let fixture = try FirmwareFixture()
    let before = fixture.ports.writes(to: 0x20).count
    fixture.scan(0x1E)
    #expect(fixture.ports.writes(to: 0x20).dropFirst(before) == [0x20])
  }
}
