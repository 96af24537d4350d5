import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Input

/// What viewers copy, and the keys that have it typed.
@Suite(.timeLimit(.minutes(1))) struct PasteTests {
  private static let control: UInt32 = 0xFFE3
  private static let alt: UInt32 = 0xFFE9
  private static let v: UInt32 = 0x76
  private static let text: [UInt8] = [0x23, 0xA3, 0x17, 0x97]

  private let guest = GuestHost(commandByte: 0x40)
  private let hub: InputHub
  private let reports = Reports()

  private final class Reports: Sendable {
    private let sentences = Mutex<[String]>([])
    func add(_ sentence: String) { sentences.withLock { $0.append(sentence) } }
    var all: [String] { sentences.withLock { $0 } }
  }

  init() throws {
    hub = InputHub(guest.controller, pace: TypingPace(patience: 2_000_000_000))
    let reports = reports
    hub.pasteKey(try Chord("ctrl-alt-v")) { reports.add($0) }
  }

  private func key(_ keysym: UInt32, _ pressed: Bool, viewer: UInt64 = 1) {
    hub.key(viewer: viewer, keysym: keysym, pressed: pressed)
  }

  private func press(_ keysyms: UInt32..., viewer: UInt64 = 1) {
    for keysym in keysyms { key(keysym, true, viewer: viewer) }
  }

  private func release(_ keysyms: UInt32..., viewer: UInt64 = 1) {
    for keysym in keysyms { key(keysym, false, viewer: viewer) }
  }

  /// What the guest reads until it has read `count` bytes, or two seconds.
  private func read(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    let end = Monitor.monotonic() + 2_000_000_000
    while bytes.count < count, Monitor.monotonic() < end { bytes += guest.drain(waiting: 0) }
    return bytes + guest.drain(waiting: 0)
  }

  @Test func theKeysTypeWhatTheirViewerCopiedAndAreNotTheGuests() {
    hub.viewerCopied(1, "hi")
    press(Self.control, Self.alt)
    #expect(guest.drain(waiting: 0) == [0x1D, 0x38])
    press(Self.v, Self.v)
    // The modifiers go up for the guest, though the viewer holds them.
    #expect(read(6) == [0xB8, 0x9D] + Self.text)
    release(Self.v, Self.alt, Self.control)
    hub.stop()
    #expect(guest.drain(waiting: 0) == [])
    press(0x61)
    #expect(guest.drain(waiting: 0) == [0x1E])
  }

  @Test func keysByTheirPlaceDoTheSame() {
    hub.viewerCopied(1, "hi")
    for code in [UInt32(0x1D), 0x38, 0x2F, 0x2F] {
      hub.key(viewer: 1, scanCode: code, keysym: 0, pressed: true)
    }
    #expect(read(8) == [0x1D, 0x38, 0xB8, 0x9D] + Self.text)
    for code in [UInt32(0x2F), 0x38, 0x1D] {
      hub.key(viewer: 1, scanCode: code, keysym: 0, pressed: false)
    }
    hub.stop()
    hub.viewerGone(1)
    #expect(guest.drain(waiting: 0) == [])
  }

  @Test func withoutATextOfTheirViewersTheyAreTheGuests() {
    let plain: [UInt8] = [0x1D, 0x38, 0x2F, 0xAF, 0xB8, 0x9D]
    press(Self.control, Self.alt, Self.v)
    release(Self.v, Self.alt, Self.control)
    #expect(guest.drain(waiting: 0) == plain)
    hub.viewerCopied(2, "hi")
    press(Self.control, Self.alt, Self.v)
    release(Self.v, Self.alt, Self.control)
    #expect(guest.drain(waiting: 0) == plain)
    hub.viewerCopied(1, "hi")
    press(Self.control, Self.alt, 0xFFE1, Self.v)
    release(Self.v, 0xFFE1, Self.alt, Self.control)
    #expect(guest.drain(waiting: 0).contains(0x2F))
    hub.pasteKey(nil) { _ in }
    press(Self.control, Self.alt, Self.v)
    release(Self.v, Self.alt, Self.control)
    #expect(guest.drain(waiting: 0) == plain)
    hub.stop()
  }

  @Test func pressedAgainTheyEndIt() {
    hub.viewerCopied(1, String(repeating: "a", count: 5000))
    press(Self.control, Self.alt, Self.v)
    _ = read(20)
    release(Self.v)
    press(Self.v)
    release(Self.v)
    var count = 0
    var more = read(1)
    while !more.isEmpty, count < 5000 {
      count += more.count
      more = guest.drain(waiting: 0)
      if more.isEmpty { more = read(1) }
    }
    #expect(count < 5000)
    hub.stop()
    #expect(reports.all == [])
  }

  @Test func whatCannotBeTypedIsReportedAndNothingOfItTyped() {
    hub.viewerCopied(1, "hi \u{20AC}")
    press(Self.control, Self.alt, Self.v)
    let end = Monitor.monotonic() + 5_000_000_000
    while reports.all.isEmpty, Monitor.monotonic() < end { _ = guest.drain(waiting: 0) }
    hub.stop()
    #expect(reports.all.count == 1)
    #expect(reports.all.first?.contains("U+20AC (character 4)") == true)
    #expect(!guest.drain(waiting: 0).contains(0x23))
  }

  @Test func stoppingEndsAPasteThatTheGuestDoesNotRead() {
    hub.viewerCopied(1, "hello")
    press(Self.control, Self.alt, Self.v)
    let start = Monitor.monotonic()
    hub.stop()
    #expect(Monitor.monotonic() - start < 1_000_000_000)
    #expect(reports.all == [])
  }

  @Test func textsThatAreTooLongAreNotKept() throws {
    #expect(throws: PasteError.nothingCopied) { try hub.paste() }
    hub.viewerCopied(1, String(repeating: "ä", count: 40_000))
    #expect(throws: PasteError.tooLong(bytes: 80_000)) { try hub.paste() }
    hub.viewerCopiedTooMuch(1, bytes: 1 << 30)
    #expect(throws: PasteError.tooLong(bytes: 1 << 30)) { try hub.paste() }
    hub.viewerCopied(1, "")
    #expect(throws: PasteError.nothingCopied) { try hub.paste() }
  }
}
