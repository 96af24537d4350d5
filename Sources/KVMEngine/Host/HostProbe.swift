import CKVM
import Glibc

/// One thing that a host's KVM can or can't do, and what that means for a desktop.
public struct HostCapability: Sendable, Equatable, Codable {
  public var name: String
  public var present: Bool
  /// Whether no desktop runs without it.
  public var needed: Bool
  /// One sentence for the person who asked.
  public var meaning: String
}

/// What this host's KVM can do: asked where it can be asked, tried where only trying tells.
public enum HostProbe {
  /// Everything that is known of the host. Takes some milliseconds.
  public static func run() -> [HostCapability] {
    do throws(HostError) {
      let system = try KVMSystem()
      var result = [
        HostCapability(
          name: "/dev/kvm", present: true, needed: true, meaning: "it opens and speaks API 12")
      ]
      result += KVMCapability.allCases.map { entry($0, in: system) }
      result += try trials(system)
      return result
    } catch {
      return [
        HostCapability(name: "/dev/kvm", present: false, needed: true, meaning: error.description)
      ]
    }
  }

  private static func entry(_ capability: KVMCapability, in system: KVMSystem) -> HostCapability {
    let present = system.value(of: capability) > 0
    let needed = KVMCapability.needed.contains(capability)
    let meaning =
      present ? "there" : needed ? "no desktop runs without it" : "desktops do without it"
    return HostCapability(
      name: capability.kernelName, present: present, needed: needed, meaning: meaning)
  }

  // MARK: Trials

  /// Each trial has a VM of its own, so that none finds what another one left in the host.
  private static func trials(_ system: KVMSystem) throws(HostError) -> [HostCapability] {
    func fresh() throws(HostError) -> Trial { try Trial(KVMVirtualMachine(system)) }
    return [
      speed(try fresh(), .real, "16-bit real mode"),
      speed(try fresh(), .protected32, "32-bit code without paging"),
      paging(try fresh()),
      speed(try fresh(), .long, "64-bit code in ring 0"),
      speed(try fresh(), .user, "64-bit code in ring 3"),
      fwait(try fresh()),
    ]
  }

  /// Instructions per second below which code is taken to be emulated, not run.
  private static let nativeSpeed = 100_000_000.0

  private static func speed(_ trial: Trial, _ mode: Trial.Mode, _ name: String) -> HostCapability {
    guard let rate = trial.instructionsPerSecond(in: mode) else {
      return HostCapability(
        name: name, present: false, needed: false, meaning: "this host's KVM can't run it")
    }
    let millions = rate >= 10e6 ? "\(Int(rate / 1e6))" : "\((rate / 1e5).rounded() / 10)"
    let meaning =
      rate >= nativeSpeed
      ? "runs natively, \(millions) million instructions a second"
      : "is emulated by the host's kernel, \(millions) million instructions a second: slow"
    return HostCapability(name: name, present: true, needed: false, meaning: meaning)
  }

  private static func paging(_ trial: Trial) -> HostCapability {
    let present = trial.keepsPaging()
    return HostCapability(
      name: "32-bit paging", present: present, needed: false,
      meaning: present
        ? "32-bit operating systems run"
        : "this host's KVM has none: no 32-bit system can run on it")
  }

  private static func fwait(_ trial: Trial) -> HostCapability {
    let present = trial.runsFWAIT()
    return HostCapability(
      name: "every instruction in ring 0", present: present, needed: false,
      meaning: present
        ? "nothing is missing that was tried"
        : "the host's emulator has holes (FWAIT is one): boot loaders and kernels stop at them")
  }
}

/// A VM for trying what a host runs: one vCPU, 1 MiB, code at 1000h, page tables at 10000h.
private final class Trial {
  enum Mode { case real, protected32, long, user }

  private let processor: KVMProcessor
  private let memory: MemoryBlock
  private let powerOnSystem: SystemRegisters
  private static let codeAddress: UInt64 = 0x1000
  private static let pageTables = 0x10000
  private static let taskState = 0x8000
  /// What the loop writes when it is done: any port ends a run.
  private static let endPort: UInt8 = 0x80

  init(_ machine: KVMVirtualMachine) throws(HostError) {
    memory = try MemoryBlock(name: "trial", size: 1 << 20)
    let space = AddressSpace(bus: MemoryBus(), slots: machine)
    try space.map(memory, size: memory.size, at: 0)
    processor = try KVMProcessor(machine, index: 0, processors: 1, ports: PortBus(), memory: space)
    powerOnSystem = processor.systemRegisters()
    processor.attachToCurrentThread()
    buildPageTables()
  }

  /// Identity-maps the first 2 MiB for every ring, with four and with two levels.
  private func buildPageTables() {
    func put(_ value: UInt64, _ offset: Int) {
      memory.base.storeBytes(of: value, toByteOffset: Self.pageTables + offset, as: UInt64.self)
    }
    put(UInt64(Self.pageTables) + 0x1007, 0)
    put(UInt64(Self.pageTables) + 0x2007, 0x1000)
    put(0x87, 0x2000)
    put(0x87, 0x3000)
    // The task state's I/O bitmap, all zeroes, gives every port to ring 3.
    memory.base.storeBytes(of: 104, toByteOffset: Self.taskState + 102, as: UInt16.self)
    memory.base.storeBytes(of: 0xFF, toByteOffset: Self.taskState + 104 + 0x2000, as: UInt8.self)
  }

  /// A loop of DEC and JNZ, timed once it is long enough to time.
  func instructionsPerSecond(in mode: Mode) -> Double? {
    var count: UInt64 = 1000
    while count <= 1 << 30 {
      load(
        (mode == .real ? [0x66] : []) + [0xFF, 0xC9, 0x75, mode == .real ? 0xFB : 0xFC]
          + [0xE6, Self.endPort, 0xEB, 0xFE])
      let start = Monitor.monotonic()
      guard run(mode, rcx: count) == .served else { return nil }
      let took = Monitor.monotonic() - start
      if took > 5_000_000 { return Double(count) * 2e9 / Double(took) }
      count *= 8
    }
    return nil
  }

  func keepsPaging() -> Bool {
    var system = powerOnSystem
    enter(.protected32, &system)
    system.cr3 = UInt64(Self.pageTables) + 0x3000
    system.cr4 = ControlBits.cr4PageSizeExtension
    system.cr0 |= ControlBits.cr0Paging
    processor.setSystemRegisters(system)
    return processor.systemRegisters().cr0 & ControlBits.cr0Paging != 0
  }

  func runsFWAIT() -> Bool {
    load([0x9B, 0xE6, Self.endPort, 0xEB, 0xFE])
    return run(.long, rcx: 0) == .served
  }

  private func load(_ code: [UInt8]) {
    memory.bytes(at: Int(Self.codeAddress), count: code.count)?.copyBytes(from: code)
  }

  private func run(_ mode: Mode, rcx: UInt64) -> ProcessorExit {
    var system = powerOnSystem
    enter(mode, &system)
    processor.setSystemRegisters(system)
    var registers = Registers()
    registers.rip = Self.codeAddress
    registers.rcx = rcx
    registers.rsp = 0x7000
    processor.setRegisters(registers)
    processor.beginRun()
    return processor.run()
  }

  private func enter(_ mode: Mode, _ system: inout SystemRegisters) {
    func segment(type: UInt8, ring: UInt8, big: Bool, long: Bool) -> Segment {
      var segment = Segment()
      segment.selector = (type == 11 ? 0x28 : 0x20) | UInt16(ring)
      segment.limit = mode == .real ? 0xFFFF : 0xFFFF_FFFF
      segment.granularity = mode != .real
      segment.type = type
      segment.privilege = ring
      segment.isBig = big
      segment.isLong = long
      return segment
    }
    let ring: UInt8 = mode == .user ? 3 : 0
    let long = mode == .long || mode == .user
    if mode == .real {
      system.cs.selector = 0
      system.cs.base = 0
      return
    }
    system.cs = segment(type: 11, ring: ring, big: !long, long: long)
    system.ss = segment(type: 3, ring: ring, big: true, long: false)
    system.ds = system.ss
    system.es = system.ss
    system.tr.selector = 0x30
    system.tr.base = UInt64(Self.taskState)
    system.tr.limit = 104 + 0x2000
    system.tr.type = 11
    system.tr.isCodeOrData = false
    system.cr0 = 0x33
    guard long else { return }
    system.cr3 = UInt64(Self.pageTables)
    system.cr4 = 0x620
    system.cr0 |= ControlBits.cr0Paging
    system.efer = 0x501
  }
}
