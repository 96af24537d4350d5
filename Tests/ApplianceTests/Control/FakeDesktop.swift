import Display
import Input
import Synchronization

@testable import Appliance

/// A desktop that remembers what it was asked.
final class FakeDesktop: DesktopControl {
  static let picture: [UInt8] =
    [0x89, 0x0A, 0x00, 0xFF, 0x0A] + (0..<100_000).map { UInt8($0 & 0xFF) }

  private let calls = Mutex<[String]>([])
  private let isGraphical: Bool

  init(isGraphical: Bool = false) { self.isGraphical = isGraphical }

  var log: [String] { calls.withLock { $0 } }

  let status = DesktopStatus(
    name: "fake", pid: 42, vnc: "127.0.0.1:5900", memory: 64 << 20, processors: 1)

  func screenshot(_ wish: PictureWish) throws -> (file: [UInt8], facts: PictureFacts) {
    if wish != PictureWish() { note("screenshot \(wish.region ?? []) \(wish.scale ?? 1)") }
    return (
      Self.picture, PictureFacts(width: 8, height: 4, sequence: 7, time: 1000, damageAge: 10)
    )
  }

  func frame(steady: Bool) -> Frame {
    if steady { note("steady frame") }
    let frame = Frame(size: FrameSize(width: 3, height: 2))
    for index in 0..<6 { frame.pixels[index] = UInt32(index) * 0x11_2233 }
    return frame
  }

  func text() throws -> String {
    if isGraphical { throw Complaint("the screen shows graphics") }
    return "C:\\>\u{2592}\n\"quoted\"\n"
  }

  let serial = "\u{1B}[2Jdebian login: \r\n"

  func type(_ text: String) throws { note("type \(text)") }

  func press(_ chord: String) throws {
    guard chord != "hyper-x" else { throw Complaint("there is no key hyper") }
    note("press \(chord)")
  }

  func paste() throws { note("paste") }
  func click(_ button: PointerButton?, times: Int, x: Int, y: Int) throws {
    note("click \(button?.rawValue ?? "none") \(times) at \(x),\(y)")
  }

  func pause() throws { note("pause") }
  func resume() throws { note("resume") }
  func save(_ path: String, holds: Bool) throws { note("save \(path)\(holds ? " and hold" : "")") }
  func reset() { note("reset") }
  func pressPowerButton() throws {
    if isGraphical { throw Complaint("the guest does not listen") }
    note("power button")
  }
  func stop() { note("stop") }

  private func note(_ call: String) { calls.withLock { $0.append(call) } }
}
