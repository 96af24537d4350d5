import CVNC
import Glibc
import KVMEngine

/// The desktop's VNC server: listens, and serves each viewer on threads of its own.
///
/// libvncserver (0.9.14) encodes pictures and reads messages; the listener, the security handshake,
/// the threads and the pace are ours. Nothing that a viewer does or fails to do holds up the guest,
/// the display thread, another viewer or ``stop()``.
///
/// A viewer's clipboard is taken, and none is given: guests have no program that would tell theirs.
/// Not modelled: audio, file transfer, TLS, web sockets.
public final class VNCServer: @unchecked Sendable {
  // SAFETY: what follows `monitor` is read and written with it held, but `turnedAway`, which belongs
  // to the listening thread.
  private let configuration: VNCConfiguration
  private let listener: VNCListener
  private let input: any ViewerInput
  private let pump: FramePump
  /// An eventfd that wakes the listening thread.
  private let wake: Int32

  private let monitor = Monitor()
  private var viewers: [UInt64: Viewer] = [:]
  private var threads: [UInt64: Thread] = [:]
  private var ended: [UInt64] = []
  private var nextIdentifier: UInt64 = 1
  private var listening: Thread?
  private var stopping = false
  private var lights: UInt8 = 0
  private var observer: (@Sendable (_ came: Bool, _ count: Int) -> Void)?

  private var turnedAway: [(descriptor: Int32, until: UInt64)] = []

  /// Opens the address; viewers are served from ``start()`` on.
  /// - Parameter guest: tells when the guest that draws `source` runs; nil where nobody knows.
  /// - Throws: ``HostError`` where the address can't be listened on or the password can't be one.
  public init(
    configuration: VNCConfiguration, source: any FrameSource, guest: GuestActivity? = nil,
    input: any ViewerInput
  ) throws(HostError) {
    for password in [configuration.password, configuration.viewPassword].compactMap({ $0 })
    where password.isEmpty || password.utf8.contains(0) {
      throw HostError("use this VNC password", advice: "it must not be empty")
    }
    self.configuration = configuration
    self.input = input
    pump = FramePump(source: source, guest: guest)
    wake = cvnc_event()
    guard wake >= 0 else { throw HostError("make an event for the VNC server", code: errno) }
    do throws(HostError) {
      listener = try VNCListener(configuration.address)
    } catch {
      _ = Glibc.close(wake)
      throw error
    }
  }

  deinit {
    if !stopping { listener.close() }
    _ = Glibc.close(wake)
  }

  /// Starts the threads `display` and `vnc-listen`. A server that was started must be stopped.
  public func start() throws(HostError) {
    // The library writes to sockets whose peer may be gone.
    signal(SIGPIPE, SIG_IGN)
    cvnc_prepare()
    try pump.start()
    do throws(HostError) {
      listening = try Thread(name: "vnc-listen") { self.listen() }
    } catch {
      pump.stop()
      throw error
    }
  }

  /// Turns all viewers out, and waits until every thread of the server has ended.
  public func stop() {
    let first = monitor.withLock {
      defer { stopping = true }
      return !stopping
    }
    guard first else { return }
    wakeListener()
    listening?.join()
    listening = nil
    listener.close()
    pump.stop()
    let leaving = monitor.withLock { (Array(viewers.values), Array(threads.values)) }
    for viewer in leaving.0 { viewer.interrupt() }
    for thread in leaving.1 { thread.join() }
    monitor.withLock { threads = [:] }
  }

  /// The TCP port in use, also where 0 was asked for; 0 for a UNIX socket.
  public var port: UInt16 { listener.port }

  /// How many viewers see the picture now.
  public var viewerCount: Int {
    let all = monitor.withLock { Array(viewers.values) }
    return all.count { $0.isServed }
  }

  /// Sets who is told, from any thread, that a viewer sees the picture or does no more, and how many
  /// do now.
  public func observe(_ observer: @escaping @Sendable (_ came: Bool, _ count: Int) -> Void) {
    monitor.withLock { self.observer = observer }
  }

  private func tell(came: Bool) { monitor.withLock { observer }?(came, viewerCount) }

  /// Input that came another way than through a viewer went to the guest.
  public func noteInput() { pump.noteInput() }

  /// The guest set its keyboard's lights: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock. Viewers
  /// that understand are told. Waits for nobody, so it may be called with a device's lock held.
  public func setKeyboardLights(_ lights: UInt8) {
    monitor.withLock {
      self.lights = lights
      for viewer in viewers.values { viewer.setLights(lights) }
    }
  }

  // MARK: The listening thread

  private func listen() {
    var entries = [
      pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
    ]
    while !monitor.withLock({ stopping }) {
      _ = poll(&entries, 2, turnedAway.isEmpty ? -1 : 500)
      if entries[1].revents != 0 {
        var count: UInt64 = 0
        _ = read(wake, &count, 8)
      }
      joinEnded()
      closeTurnedAway(all: false)
      if entries[0].revents != 0 { acceptSome() }
    }
    closeTurnedAway(all: true)
  }

  private func wakeListener() {
    var one: UInt64 = 1
    _ = write(wake, &one, 8)
  }

  /// Takes connections that wait, but not for ever.
  private func acceptSome() {
    for _ in 0..<64 {
      guard acceptOne() else { return }
    }
  }

  /// Returns whether another one may be waiting.
  private func acceptOne() -> Bool {
    let descriptor = accept(listener.descriptor, nil, nil)
    guard descriptor >= 0 else {
      // Out of descriptors: the viewer stays in the queue, and asking at once again helps nobody.
      if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM {
        usleep(100_000)
      }
      return false
    }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    let count = monitor.withLock { viewers.count }
    if count >= configuration.viewerLimit {
      turnAway(descriptor, "this desktop has its \(configuration.viewerLimit) viewers")
    } else if descriptor >= Int32(CVNC_DESCRIPTOR_LIMIT) {
      turnAway(descriptor, "this desktop has too many files open")
    } else {
      admit(descriptor)
    }
    return true
  }

  private func admit(_ descriptor: Int32) {
    monitor.withLock {
      let identifier = nextIdentifier
      nextIdentifier &+= 1
      let viewer = Viewer(
        identifier: identifier, descriptor: descriptor, configuration: configuration, pump: pump,
        input: input)
      viewer.setLights(lights)
      // Made with the lock held, so that the thread's end finds its entry.
      let thread = try? Thread(name: "vnc-read", stackBytes: 1 << 20) {
        viewer.run { [weak self] came in self?.tell(came: came) }
        self.viewerEnded(identifier)
      }
      guard let thread else { return closeQuietly(descriptor) }
      viewers[identifier] = viewer
      threads[identifier] = thread
    }
  }

  private func closeQuietly(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

  private func viewerEnded(_ identifier: UInt64) {
    monitor.withLock {
      viewers[identifier] = nil
      ended.append(identifier)
    }
    wakeListener()
  }

  private func joinEnded() {
    let finished = monitor.withLock {
      let finished = ended.compactMap { threads.removeValue(forKey: $0) }
      ended = []
      return finished
    }
    for thread in finished { thread.join() }
  }

  /// Tells a viewer why it is not served. It is closed a little later, since closing a socket with
  /// unread bytes takes back what was sent.
  private func turnAway(_ descriptor: Int32, _ reason: String) {
    let text = RFBHandshake.refusal(reason)
    _ = send(
      descriptor, text, text.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
    shutdown(descriptor, Int32(SHUT_WR))
    turnedAway.append((descriptor, Monitor.monotonic() &+ 2_000_000_000))
    if turnedAway.count > 32 { closeQuietly(turnedAway.removeFirst().descriptor) }
  }

  private func closeTurnedAway(all: Bool) {
    let now = Monitor.monotonic()
    turnedAway.removeAll { entry in
      guard all || entry.until <= now else { return false }
      closeQuietly(entry.descriptor)
      return true
    }
  }
}
