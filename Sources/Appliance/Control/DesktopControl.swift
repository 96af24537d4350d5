import Display
import Glibc
import Input
import KVMEngine
import Machine

/// What the control socket can ask of a desktop. Called from connection threads, several at once.
protocol DesktopControl: Sendable {
  /// What is known about the desktop without asking the guest.
  var status: DesktopStatus { get }
  /// The picture as it is now, as `wish` says: a PNG file's bytes, and what is known of them.
  func screenshot(_ wish: PictureWish) throws -> (file: [UInt8], facts: PictureFacts)
  /// The picture as it is now; a `steady` one with everything shown that blinks.
  func frame(steady: Bool) throws -> Frame
  /// The text screen as it is now, a line feed after each row; throws in a graphics mode.
  func text() throws -> String
  /// What the guest said on its serial port since its start, as far as it is recent.
  var serial: String { get }
  /// Types `text` on the keyboard; returns when the keyboard has taken it.
  func type(_ text: String) throws
  /// Presses keys together, as `ctrl-alt-del`, and lets them go.
  func press(_ chord: String) throws
  /// Types what a viewer copied last.
  func paste() throws
  /// Moves the pointer to a pixel and clicks there; throws where the screen has no such pixel.
  func click(_ button: PointerButton?, times: Int, x: Int, y: Int) throws
  /// Stops the guest and its clock; `resume` lets it go on.
  func pause() throws
  func resume() throws
  /// Writes the whole desktop to `path`; one that `holds` stands still afterwards.
  func save(_ path: String, holds: Bool) throws
  /// Pushes the reset button.
  func reset()
  /// Presses the power button; throws where the guest does not listen to it.
  func pressPowerButton() throws
  /// Pulls the plug: the desktop's process ends.
  func stop()
}

/// A desktop, as the `status` method tells of it.
struct DesktopStatus: Codable, Equatable, Sendable {
  var name: String
  /// The desktop's process.
  var pid: Int32
  /// Where a viewer connects, as `127.0.0.1:5900` or `unix:PATH`; nil without VNC.
  var vnc: String?
  /// Guest memory in bytes.
  var memory: Int
  var processors: Int
  /// `running`, `paused`, or `no-room` while the host has no room for what the guest writes.
  var state: String?
  /// Seconds since the machine was started.
  var uptime: Double?
  /// Viewers that see the screen now.
  var viewers: Int?
  /// What runs the guest.
  var engine: String?
  /// Seconds of processor time that the desktop's process has used.
  var cpuTime: Double?
}

/// A running machine behind the control socket.
struct LiveDesktop: DesktopControl {
  let machine: Machine
  /// What stays the same as long as it runs.
  private let identity: DesktopStatus
  private let started = Monitor.monotonic()

  init(machine: Machine, status: DesktopStatus) {
    self.machine = machine
    identity = status
  }

  var status: DesktopStatus {
    var status = identity
    status.state = machine.shortage != nil ? "no-room" : machine.isPaused ? "paused" : "running"
    status.uptime = Double((Monitor.monotonic() &- started) / 1_000_000) / 1000
    status.viewers = machine.vncServer?.viewerCount ?? 0
    status.engine = machine.configuration.engine.rawValue
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    status.cpuTime = Double(time.tv_sec) + Double(time.tv_nsec / 1_000_000) / 1000
    return status
  }

  func screenshot(_ wish: PictureWish) throws -> (file: [UInt8], facts: PictureFacts) {
    let screenshot = machine.screenshot()
    let frame = try wish.applied(to: screenshot.frame)
    let facts = PictureFacts(
      width: frame.size.width, height: frame.size.height, sequence: screenshot.sequence,
      time: screenshot.time, damageAge: screenshot.damageAge)
    return (try PNGImage.encode(frame), facts)
  }

  func frame(steady: Bool) -> Frame { machine.capture(steady: steady) }

  func text() throws -> String {
    guard let screen = machine.textScreen() else {
      throw Complaint("the screen shows graphics, not text; take a screenshot")
    }
    return screen.text
  }

  var serial: String { String(decoding: machine.serialBytes, as: UTF8.self) }

  func type(_ text: String) throws { try machine.inputHub.type(text) }
  func press(_ chord: String) throws { try machine.inputHub.press(chord: chord) }
  func paste() throws { try machine.inputHub.paste() }
  func click(_ button: PointerButton?, times: Int, x: Int, y: Int) throws {
    let size = machine.capture().size
    guard (0..<size.width).contains(x), (0..<size.height).contains(y) else {
      throw Complaint("the screen has \(size.width)x\(size.height) pixels, and none at \(x),\(y)")
    }
    machine.inputHub.click(button, times: times, x: x, y: y, width: size.width, height: size.height)
  }
  func pause() throws { try machine.pause() }
  func resume() throws { try machine.resume() }
  func save(_ path: String, holds: Bool) throws { try machine.save(to: path, holds: holds) }
  func reset() { machine.reset() }
  func pressPowerButton() throws {
    guard machine.pressPowerButton() else {
      throw Complaint(
        "the guest has not asked to be told of its power button; porthole stop switches the desktop"
          + " off at once")
    }
  }
  func stop() { machine.requestStop(.poweredOff) }
}
