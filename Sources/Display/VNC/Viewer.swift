import CVNC
import Glibc
import KVMEngine

/// One connected viewer: a thread that reads its messages and one that encodes and writes updates.
///
/// It shares no lock with another viewer, so one that stalls holds up nobody else. The pump only ever
/// takes `monitor`, which is never held while the peer is waited for.
///
/// Lock order: `encoding`, then `monitor`.
final class Viewer: PictureViewer, @unchecked Sendable {
  // SAFETY: `library`, `latest` and `over` are read and written with `monitor` held; the library's
  // viewer is destroyed by the reading thread after the writing one was joined. `shown` belongs to
  // the writing thread once that runs.
  let identifier: UInt64
  let socket: ViewerSocket
  private let configuration: VNCConfiguration
  let pump: FramePump
  /// Written by the reading thread before it reads the first message.
  private(set) var input: any ViewerInput

  let monitor = Monitor()
  private var library: OpaquePointer?
  private(set) var latest: Picture?
  private var shown: Picture?
  private var over = false
  private var serving = false
  /// Messages of our own that wait for the writing thread. Guarded by `monitor`.
  var news = ViewerNews()
  /// Updates on their way to a viewer that need not ask. Guarded by `monitor`.
  var window = UpdateWindow()
  /// An update is being encoded; when the last one was.
  private var sending = false
  private var sentAt: UInt64 = 0

  /// So many viewers are served like the guest itself, more of them after it.
  private static let favoured = 2
  private static let crowdNiceness: Int32 = 10

  /// Held while an update is encoded and written, and while the viewer's formats change.
  private let encoding = Monitor()

  init(
    identifier: UInt64, descriptor: Int32, configuration: VNCConfiguration, pump: FramePump,
    input: any ViewerInput
  ) {
    self.identifier = identifier
    self.configuration = configuration
    self.pump = pump
    self.input = input
    socket = ViewerSocket(descriptor: descriptor)
  }

  /// The viewer is through its handshake and sees the picture.
  var isServed: Bool { monitor.withLock { serving && !over } }

  /// Ends the connection; ``run()`` returns soon after.
  func interrupt() { socket.interrupt() }

  /// Serves the viewer until it leaves. The body of its reading thread.
  /// - Parameter service: told when it sees the picture, and when no more.
  func run(_ service: (_ begins: Bool) -> Void = { _ in }) {
    let deadline = Monitor.monotonic() &+ UInt64(max(configuration.handshakeLimit, 1)) * 1_000_000
    defer { finish() }
    guard
      let guest = RFBHandshake(
        socket: socket, password: configuration.password,
        viewPassword: configuration.viewPassword, deadline: deadline
      ).run()
    else { return }
    if guest.onlyViews { input = NoInput() }
    guard
      let picture = pump.currentPicture(), let viewer = create(guest.minor, picture),
      socket.peekByte(until: deadline) != nil
    else { return }
    // ClientInit is one byte, and it is there: the library won't wait.
    cvnc_process(viewer)
    guard cvnc_state(viewer) == CVNC_NORMAL,
      let writer = try? Thread(name: "vnc-write", stackBytes: 1 << 20, body: { self.sendUpdates() })
    else { return }
    monitor.withLock { serving = true }
    pump.attach(self)
    service(true)
    readMessages(viewer)
    monitor.withLock {
      over = true
      monitor.broadcast()
    }
    service(false)
    socket.interrupt()
    pump.detach(self)
    writer.join()
    input.viewerGone(identifier)
  }

  private func create(_ minor: Int32, _ picture: Picture) -> OpaquePointer? {
    let handlers = cvnc_handlers(
      context: Unmanaged.passUnretained(self).toOpaque(),
      key: { context, keysym, pressed in
        Viewer.from(context)?.key(keysym, pressed: pressed)
      },
      pointer: { context, buttons, x, y in
        Viewer.from(context)?.pointer(x: Int(x), y: Int(y), buttons: UInt16(buttons))
      },
      resize: { context, width, height, screens in
        (Viewer.from(context)?.wish(Int(width), Int(height), screens: Int(screens)) ?? .prohibited)
          .rawValue
      })
    // SAFETY: `shown` and `latest` keep the pixels alive for as long as the library reads them; the
    // viewer outlives the library's part of it, whose callbacks come from `run()` alone.
    let made = cvnc_create(
      socket.descriptor, minor, picture.memory.pixels, Int32(picture.size.width),
      Int32(picture.size.height), configuration.desktopName,
      Int32(clamping: configuration.patience),
      handlers)
    shown = picture
    monitor.withLock {
      latest = picture
      library = made
    }
    return made
  }

  private func finish() {
    let viewer = monitor.withLock {
      let viewer = library
      library = nil
      over = true
      return viewer
    }
    socket.close(by: viewer.map { viewer in { _ in cvnc_destroy(viewer) } })
  }

  // MARK: The picture

  var isWaiting: Bool {
    monitor.withLock {
      guard let library, !over else { return false }
      return cvnc_waiting(library)
    }
  }

  func show(_ picture: Picture, change: PictureChange) {
    monitor.withLock {
      guard let library, !over else { return }
      let same = latest?.isSame(as: picture) ?? false
      latest = picture
      var rects = change.damage.map(Viewer.libraryRect)
      // An update that was under way meanwhile may have sent any of both pictures.
      let knowsBefore = same && !sending && sentAt < change.began
      for copy in change.copies {
        let to = Viewer.libraryRect(copy.to)
        if knowsBefore {
          cvnc_copy(library, to, Int32(clamping: copy.dx), Int32(clamping: copy.dy))
        } else {
          rects.append(to)
        }
      }
      if !rects.isEmpty { cvnc_mark(library, rects, rects.count) }
      monitor.broadcast()
    }
  }

  private static func libraryRect(_ rect: FrameRect) -> cvnc_rect {
    cvnc_rect(
      x: Int32(clamping: rect.x), y: Int32(clamping: rect.y), width: Int32(clamping: rect.width),
      height: Int32(clamping: rect.height))
  }

  /// The body of the writing thread.
  private func sendUpdates() {
    // Many viewers that all want every picture would leave the guest too little time to draw it.
    if pump.viewerCount >= Viewer.favoured {
      setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, Viewer.crowdNiceness)
    }
    while let (viewer, picture) = nextUpdate() {
      let sent = encoding.withLock {
        guard
          cvnc_show(
            viewer, picture.memory.pixels, Int32(picture.size.width), Int32(picture.size.height))
        else { return false }
        shown = picture
        guard sendNews(viewer) else { return false }
        guard cvnc_pending(viewer) else { return true }
        return cvnc_send(viewer) && followUp(viewer)
      }
      monitor.withLock {
        sending = false
        sentAt = Monitor.monotonic()
      }
      guard sent else { return socket.interrupt() }
    }
  }

  /// Sleeps until there is something that the viewer asked for; nil at the end.
  private func nextUpdate() -> (OpaquePointer, Picture)? {
    monitor.withLock {
      while let library, let latest, !over {
        let replaced = shown.map { !$0.isSame(as: latest) } ?? true
        if !news.isEmpty || cvnc_pending(library) || (replaced && cvnc_waiting(library)) {
          sending = true
          return (library, latest)
        }
        monitor.wait()
      }
      return nil
    }
  }

  // MARK: Messages

  /// The messages that a viewer may send (RFC 6143, 7.5, and extensions), by their first byte.
  private enum Message: UInt8 {
    case setPixelFormat = 0
    case setEncodings = 2
    case framebufferUpdateRequest = 3
    case keyEvent = 4
    case pointerEvent = 5
    case clientCutText = 6
    case enableContinuousUpdates = 150
    case fence = 248
    case setDesktopSize = 251
    case qemu = 255
  }

  /// Reads until the viewer leaves or sends what no viewer may.
  private func readMessages(_ viewer: OpaquePointer) {
    while let byte = socket.peekByte(), let message = Message(rawValue: byte) {
      switch message {
      case .framebufferUpdateRequest:
        // The whole picture goes out at once: it must not be the one of this viewer's last request.
        if asksForEverything() { pump.bringUpToDate() }
        cvnc_process(viewer)
        monitor.withLock { monitor.broadcast() }
        pump.noteRequest()
      case .keyEvent:
        cvnc_process(viewer)
      case .pointerEvent:
        if takesManyButtons {
          guard takePointer() else { return }
        } else {
          cvnc_process(viewer)
        }
      case .enableContinuousUpdates:
        guard takeContinuousUpdates(viewer) else { return }
      case .fence:
        guard takeFence(viewer) else { return }
      case .qemu:
        guard takeExtendedKey() else { return }
      case .clientCutText:
        guard takeCutText() else { return }
      case .setPixelFormat:
        guard hasUsableFormat() else { return }
        encoding.withLock { cvnc_process(viewer) }
      case .setEncodings:
        guard let encodings = peekEncodings() else { return }
        encoding.withLock {
          cvnc_process(viewer)
          cvnc_limit_effort(viewer)
        }
        announce(encodings)
      case .setDesktopSize:
        encoding.withLock {
          cvnc_process(viewer)
          cvnc_limit_effort(viewer)
        }
      }
      guard cvnc_state(viewer) == CVNC_NORMAL else { return }
    }
  }

  /// Whether the FramebufferUpdateRequest that comes next (7.5.3) is not incremental.
  private func asksForEverything() -> Bool {
    socket.peek(2, until: messageDeadline).map { $0[1] == 0 } ?? false
  }

  /// When a message that has begun must be complete.
  var messageDeadline: UInt64 {
    Monitor.monotonic() &+ UInt64(max(configuration.patience, 1)) * 1_000_000
  }

  /// Whether the SetPixelFormat message that comes next (7.5.1) can be served: the library shifts and
  /// divides by what it says.
  private func hasUsableFormat() -> Bool {
    guard let bytes = socket.peek(20, until: messageDeadline) else { return false }
    let bits = bytes[4]
    guard bits == 8 || bits == 16 || bits == 32 else { return false }
    if bytes[7] == 0 { return bits == 8 }
    let maxima = [8, 10, 12].map { UInt64(bytes[$0]) << 8 | UInt64(bytes[$0 + 1]) }
    return zip(maxima, bytes[14..<17]).allSatisfy { maximum, shift in
      maximum > 0 && shift < bits && maximum << UInt64(shift) < 1 << UInt64(bits)
    }
  }

  static func from(_ context: UnsafeMutableRawPointer?) -> Viewer? {
    context.map { Unmanaged<Viewer>.fromOpaque($0).takeUnretainedValue() }
  }
}
