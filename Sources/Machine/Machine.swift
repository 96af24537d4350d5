import Display
import Input
import KVMEngine
import Storage
import Synchronization

/// A PC that runs in this process: its vCPUs, its devices, its screen.
///
/// Made, started once, stopped once. Everything but ``init(_:log:)`` may be called from any thread.
public final class Machine: @unchecked Sendable {
  // SAFETY: `processors` and `thread` are written by `init` and `start`, which one owner calls;
  // everything else is constant or locks by itself.
  public let configuration: MachineConfiguration
  /// The keyboard and the pointer, for scripts as for viewers.
  public var inputHub: InputHub { parts.input }
  /// The VNC server; nil for a desktop without one.
  public let vncServer: VNCServer?

  let parts: MachineParts
  let log: @Sendable (String) -> Void
  private(set) var processors: [VirtualCPU] = []
  /// The host's time-stamp counter when the machine was made to stand still; nil while it runs. The
  /// machine's thread's, once there is one.
  var frozenAt: UInt64? {
    didSet {
      paused.store(frozenAt != nil, ordering: .relaxed)
      parts.activity.standStill(frozenAt != nil)
    }
  }
  private let paused = Atomic(false)
  /// Why the machine stands still: somebody asked for it, or the host has no room for what the guest
  /// writes. The machine's thread's.
  var isHeldByUser = false
  var isHeldForRoom = false
  let observers = Mutex<(@Sendable (MachineEvent) -> Void)?>(nil)
  /// Whether the guest and its clock stand still.
  public var isPaused: Bool { paused.load(ordering: .relaxed) }
  /// All that is reset, saved and restored, in that order.
  private var devices: [any Device] = []
  private var thread: Thread?

  /// Opens the host's KVM, the images and the VNC port, and wires the PC.
  /// - Parameter log: gets sentences about what the user should know, from any thread.
  /// - Throws: an error whose description is a sentence for the user.
  public init(
    _ configuration: MachineConfiguration, log: @escaping @Sendable (String) -> Void
  ) throws {
    try KVMProcessor.installKickHandler()
    self.configuration = configuration
    self.log = log
    let parts = try MachineBuilder(configuration, log: log).build()
    self.parts = parts
    vncServer = try configuration.vnc.map { vnc in
      try VNCServer(
        configuration: vnc, source: parts.video, guest: parts.activity,
        input: ViewerInputBridge(parts.input))
    }
    let server = vncServer
    parts.input.activity { [weak server] in server?.noteInput() }
    parts.input.lights { [weak server] in server?.setKeyboardLights($0.rawValue) }
    parts.input.pasteKey(configuration.pasteKey) { log($0) }
    let gauge = KeyboardBufferGauge(space: parts.space)
    parts.input.acceptance { gauge.hasRoom }
    for index in 0..<configuration.processors {
      let processor = try parts.makeProcessor(index, of: configuration.processors)
      processors.append(
        VirtualCPU(
          index: index, processor: processor, gate: parts.control.gate, owner: self,
          externalInterrupts: index == 0 ? parts.interrupts.external : nil,
          clock: index == 0 ? parts.clock : nil))
    }
    parts.control.attach(processors)
    devices = parts.devices + parts.apicBus.localAPICs
    parts.room.observe { [weak self] in self?.roomChanged($0) }
  }

  /// Powers on: starts the threads and lets the vCPUs run from the reset vector, or from where the
  /// snapshot has them.
  /// - Throws: an error whose description is a sentence for the user; nothing runs then.
  public func start() throws {
    for device in devices { device.reset() }
    parts.chipset.configure()
    do {
      for processor in processors { try processor.start() }
      if let path = configuration.restore {
        parts.control.gate.waitUntilAllStand()
        try restoreState(from: path)
      }
      try parts.serial.start()
      try parts.storage.start()
      try vncServer?.start()
      thread = try Thread(name: "machine") { [self] in live() }
    } catch {
      endThreads()
      throw error
    }
    if configuration.restore == nil { parts.control.gate.open() } else { letGo() }
  }

  /// Asks the machine to stop; returns at once. The first reason given is the one that counts.
  public func requestStop(_ reason: StopReason) {
    parts.room.end()
    parts.control.requestStop(reason)
  }

  /// Asks for a reset, as the button on the case does.
  public func reset() { parts.control.requestReset(.machine) }

  /// Presses the power button, for a system that then shuts itself down.
  /// - Returns: false where the guest has not asked to be told of it, so that nothing comes of it.
  public func pressPowerButton() -> Bool { parts.chipset.power.pressPowerButton() }

  /// Waits until the machine stops, but no longer than so many milliseconds.
  /// - Returns: whether it has.
  public func stops(within milliseconds: UInt64) -> Bool {
    parts.control.isFinished(by: Monitor.monotonic() &+ milliseconds &* 1_000_000)
  }

  /// Waits until the machine has stopped, its images are flushed and its threads have ended.
  public func waitUntilStopped() -> StopReason {
    let reason = parts.control.waitUntilFinished()
    thread?.join()
    return reason
  }

  /// The TCP port of the VNC server.
  public var vncPort: UInt16? { vncServer?.port }

  /// The picture as it is now; a `steady` one with everything shown that blinks.
  public func capture(steady: Bool = false) -> Frame {
    parts.video.screenshot(steady: steady).frame
  }

  /// The picture as it is now, and what is known of it.
  public func screenshot() -> Screenshot { parts.video.screenshot() }

  /// The text on the screen; nil while the display is in a graphics mode.
  public func textScreen() -> TextScreen? { parts.video.textScreen() }

  /// What the guest said on its serial port since the start or the last reset: the last 64 KiB at
  /// least.
  public var serialBytes: [UInt8] { parts.serial.said }

  /// Copies guest-physical memory, for tests and debuggers.
  public func guestMemory(at address: UInt64, count: Int) -> [UInt8] {
    parts.space.bytes(at: address, count: count)
  }

  // MARK: The machine's thread

  private func live() {
    while true {
      switch parts.control.nextRequest() {
      case .reset(let kind): carryOutReset(kind)
      case .errand(let errand): errand.run()
      case .stop: return shutDown()
      }
    }
  }

  /// What a program leaves in the CMOS memory's shutdown byte when it resets the processor only to
  /// get out of protected mode (IBM PC/AT Technical Reference, "Shutdown byte"): POST then goes on
  /// with the program, which needs its devices as they are.
  private static let shutdownIndex: UInt8 = 0x0F
  private static let resumingShutdowns: [UInt8] = [0x05, 0x09, 0x0A]

  /// F12, X11's XK_F12: the boot menu's key.
  private static let bootMenuKeysym: UInt32 = 0xFFC9

  private func carryOutReset(_ kind: MachineControl.ResetKind) {
    parts.control.gate.close()
    parts.control.kickAll()
    parts.control.gate.waitUntilAllStand()
    // What waits for room is given up with the guest that wrote it.
    parts.room.giveUp()
    let resumes = Self.resumingShutdowns.contains(parts.rtc.readCMOS(Self.shutdownIndex))
    if kind == .machine || !resumes {
      parts.memory.setGate(open: true)
      let wantsMenu = parts.input.isHeld(keysym: Self.bootMenuKeysym)
      for device in parts.devices { device.reset() }
      parts.chipset.configure()
      parts.input.releaseEverything()
      parts.serial.forget()
      if wantsMenu { parts.firmware.requestBootMenu() }
    }
    for local in parts.apicBus.localAPICs { local.reset() }
    for processor in processors { processor.reset() }
    if kind == .machine || !resumes { tell(.reset) }
    if frozenAt == nil { parts.control.gate.open() }
  }

  /// Carries out a reset that waits; the vCPUs may run afterwards.
  /// - Returns: whether there was one.
  func carryOutPendingReset() -> Bool {
    guard let kind = parts.control.takeReset() else { return false }
    carryOutReset(kind)
    return true
  }

  private func endThreads() {
    parts.room.end()
    parts.control.gate.stop()
    parts.control.kickAll()
    parts.input.stop()
    for processor in processors { processor.join() }
    parts.clock.stop()
    vncServer?.stop()
    parts.serial.stop()
    parts.storage.stop()
  }

  private func shutDown() {
    endThreads()
    do { try parts.disk.flush() } catch { log("\(error)") }
    parts.variables?.flush()
    parts.control.finish()
  }
}

extension Machine: VirtualCPUOwner {
  public func serveFirmwareTrap(_ processor: any Processor) {
    var registers = processor.registers()
    let firmware = parts.firmware
    guard let slot = firmware.slot(forIP: UInt16(truncatingIfNeeded: registers.rip)) else { return }
    var call = FirmwareCall(
      registers: registers, system: processor.systemRegisters(), space: parts.space)
    let outcome = firmware.serve(slot: slot, call: &call)
    let (rip, flags) = (registers.rip, registers.rflags)
    registers = call.registers
    if outcome != .enter {
      // RIP is the stub's; its carry flag tells the stub whether to wait.
      registers.rip = rip
      registers.rflags = outcome == .wait ? flags | Flags.carry : flags & ~Flags.carry
    }
    processor.setRegisters(registers)
    if call.systemChanged { processor.setSystemRegisters(call.system) }
  }

  public func serveBackdoor(_ processor: any Processor) {
    var registers = processor.registers()
    if UInt32(truncatingIfNeeded: registers.rax) == VMwareBackdoor.magic {
      var call = VMwareCall(registers)
      parts.keyboard.serve(&call)
      call.write(to: &registers)
    } else {
      registers.rax = UInt64(parts.ports.read(VMwareBackdoor.port, width: .dword))
    }
    processor.finishInput(registers)
  }

  public func endOfInterrupt(vector: UInt8) { parts.interrupts.endOfInterrupt(vector) }

  public func processorStopped(_ index: Int, because exit: ProcessorExit) {
    switch exit {
    case .shutdown where configuration.onTripleFault == .reset:
      log("vCPU \(index) had a triple fault; the desktop resets")
      parts.control.requestReset(.processors)
    case .shutdown: parts.control.requestStop(.tripleFault)
    case .unsupported(let instruction):
      parts.control.requestStop(.failed(instruction.description))
    case .failed(let sentence): parts.control.requestStop(.failed(sentence))
    default: break
    }
  }
}

/// Hands the viewers' keys and pointers to the input devices.
private final class ViewerInputBridge: ViewerInput {
  private let hub: InputHub

  init(_ hub: InputHub) { self.hub = hub }

  func key(viewer: UInt64, keysym: UInt32, pressed: Bool) {
    hub.key(viewer: viewer, keysym: keysym, pressed: pressed)
  }

  func key(viewer: UInt64, scanCode: UInt32, keysym: UInt32, pressed: Bool) {
    hub.key(viewer: viewer, scanCode: scanCode, keysym: keysym, pressed: pressed)
  }

  func pointer(viewer: UInt64, x: Int, y: Int, buttons: UInt16, frame: FrameSize) {
    hub.pointer(
      viewer: viewer, x: x, y: y, buttons: buttons, width: frame.width, height: frame.height)
  }

  func copied(viewer: UInt64, text: String) { hub.viewerCopied(viewer, text) }

  func copiedTooMuch(viewer: UInt64, bytes: Int) { hub.viewerCopiedTooMuch(viewer, bytes: bytes) }

  func viewerGone(_ viewer: UInt64) { hub.viewerGone(viewer) }
}

extension VMwareCall {
  /// The registers' lower halves.
  fileprivate init(_ registers: Registers) {
    self.init()
    eax = UInt32(truncatingIfNeeded: registers.rax)
    ebx = UInt32(truncatingIfNeeded: registers.rbx)
    ecx = UInt32(truncatingIfNeeded: registers.rcx)
    edx = UInt32(truncatingIfNeeded: registers.rdx)
    esi = UInt32(truncatingIfNeeded: registers.rsi)
    edi = UInt32(truncatingIfNeeded: registers.rdi)
  }

  /// Writes what changed; as everywhere, 32 bits clear those above.
  fileprivate func write(to registers: inout Registers) {
    let before = VMwareCall(registers)
    registers.rax = UInt64(eax)
    if ebx != before.ebx { registers.rbx = UInt64(ebx) }
    if ecx != before.ecx { registers.rcx = UInt64(ecx) }
    if edx != before.edx { registers.rdx = UInt64(edx) }
    if esi != before.esi { registers.rsi = UInt64(esi) }
    if edi != before.edi { registers.rdi = UInt64(edi) }
  }
}
