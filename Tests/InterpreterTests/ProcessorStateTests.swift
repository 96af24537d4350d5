import DeviceTestKit
import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

private let hasKVM = access("/dev/kvm", R_OK | W_OK) == 0

/// One memory with a processor of each engine.
private final class Pair {
  let kvm: KVMProcessor
  let software: InterpretedProcessor
  let space: AddressSpace
  let local: LocalAPIC
  private let ram: MemoryBlock
  private let machine: KVMVirtualMachine
  private let bus = APICBus()
  private let clock = ManualClock()

  init() throws {
    ram = try MemoryBlock(name: "ram", size: 16 << 20)
    machine = try KVMVirtualMachine(KVMSystem())
    space = AddressSpace(bus: MemoryBus(), slots: machine)
    try space.map(ram, size: 16 << 20, at: 0)
    try KVMProcessor.installKickHandler()
    let ports = PortBus()
    kvm = try KVMProcessor(machine, index: 0, processors: 1, ports: ports, memory: space)
    software = InterpretedProcessor(index: 0, ports: ports, memory: space)
    software.sleepsWhenHalted = false
    local = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000, read: { 0 }), bus: bus)
    software.localAPIC = local
    kvm.attachToCurrentThread()
  }

  /// Runs KVM's processor, ten seconds at most: one that halts by mistake would sleep for ever.
  func runKVM() -> ProcessorExit {
    let done = Flag()
    let processor = kvm
    processor.beginRun()
    let watcher = try? Thread(name: "watcher") {
      for _ in 0..<1000 where !done.isSet { usleep(10_000) }
      processor.requestExit()
    }
    let exit = processor.run()
    done.set()
    watcher?.join()
    return exit
  }

  private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
  }

  /// KVM's state with the time-stamp counter's offset of `other`, which no two readings share.
  func kvmState(like other: ProcessorState) throws -> ProcessorState {
    var state = try kvm.state(now: 0)
    state.timestampOffset = other.timestampOffset
    return state
  }
}

/// A state with something in everything that both engines have.
private func variedState(_ seed: UInt64, from base: ProcessorState) -> ProcessorState {
  var dice = Dice(state: seed)
  var state = base
  state.registers.rax = dice.next()
  state.registers.rsp = dice.next() & 0xFFF0
  state.registers.r15 = dice.next()
  state.registers.rip = 0x7C00
  state.registers.rflags = 0x202 | dice.next() & 0xCD5
  state.system.cs.base = 0x12340
  state.system.cs.selector = 0x1234
  state.system.fs.base = dice.next() & 0xFFFF0
  state.system.cr2 = dice.next()
  state.system.gdt.limit = 0x1FF
  state.system.gdt.base = 0x5000
  let registers: [UInt32] = [
    0x174, 0x175, 0x176, 0x277, 0xC000_0081, 0xC000_0082, 0xC000_0084, 0xC000_0102,
  ]
  for index in registers {
    guard let place = state.modelRegisters.firstIndex(where: { $0.index == index }) else {
      continue
    }
    state.modelRegisters[place].value = index == 0x277 ? 0x0007_0406_0007_0401 : dice.next() >> 32
  }
  for byte in 160..<416 { state.vectors.legacy[byte] = UInt8(truncatingIfNeeded: dice.next()) }
  state.vectors.legacy.replaceSubrange(0..<2, with: [0x7F, 0x02])
  for byte in 32..<42 { state.vectors.legacy[byte] = UInt8(truncatingIfNeeded: dice.next()) }
  state.vectors.legacy[4] = 1
  state.debug.addresses = (0..<4).map { _ in dice.next() >> 32 }
  state.debug.status = 0xFFFF_0FF1
  state.debug.control = 0x400
  state.events.shadow = .enabledInterrupts
  return state
}

@Suite(.serialized)
struct ProcessorStateTests {
  @Test func interpreterGivesBackTheStateThatItTook() throws {
    let rig = try Rig()
    for seed in 1...50 as ClosedRange<UInt64> {
      var state = variedState(seed, from: rig.processor.state(now: 0))
      state.debug.control = 0x0D_0455
      state.timestampOffset = seed << 40
      state.activity = seed & 1 == 0 ? .halted : .running
      state.events.blocksNMI = seed & 2 == 0
      if seed & 4 == 0 { state.events.delivery = .interrupt(vector: 0x33, isSoftware: false) }
      try rig.processor.setState(state, now: 0)
      #expect(rig.processor.state(now: 0) == state)
    }
  }

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func kvmGivesBackTheStateThatItTook() throws {
    let pair = try Pair()
    for seed in 1...20 as ClosedRange<UInt64> {
      let state = variedState(seed, from: try pair.kvm.state(now: 0))
      try pair.kvm.setState(state, now: 0)
      #expect(try pair.kvmState(like: state) == state)
    }
  }

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func stateIsTheSameAfterAVisitToTheOtherEngine() throws {
    let pair = try Pair()
    for seed in 1...20 as ClosedRange<UInt64> {
      var state = variedState(seed, from: try pair.kvm.state(now: 0))
      if seed & 1 == 0 { state.activity = .halted }
      try pair.kvm.setState(state, now: 0)
      let first = try pair.kvmState(like: state)
      try pair.software.setState(first, now: 0)
      let visited = pair.software.state(now: 0)
      #expect(visited == first)
      try pair.kvm.setState(visited, now: 0)
      #expect(try pair.kvmState(like: first) == first)
    }
  }

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func timerAndTablesOfTheLocalAPICMove() throws {
    let pair = try Pair()
    var state = pair.software.state(now: 0)
    pair.local.writeMemory(0xF0, width: .dword, value: 0x1FF)
    pair.local.writeMemory(0x3E0, width: .dword, value: 3)
    pair.local.writeMemory(0x320, width: .dword, value: 0x2_00EC)
    pair.local.writeMemory(0x380, width: .dword, value: 4_000_000)
    pair.local.writeMemory(0x80, width: .dword, value: 0x20)
    pair.local.writeMemory(0xD0, width: .dword, value: 0x0100_0000)
    state = pair.software.state(now: 0)
    try pair.kvm.setState(state, now: 0)
    let back = try pair.kvm.state(now: 0)
    try pair.software.setState(back, now: 0)
    #expect(pair.local.readMemory(0x380, width: .dword) == 4_000_000)
    #expect(pair.local.readMemory(0x320, width: .dword) == 0x2_00EC)
    #expect(pair.local.readMemory(0x80, width: .dword) == 0x20)
    // It counts 16 ns a step and began less than a second ago.
    let count = pair.local.readMemory(0x390, width: .dword)
    #expect(count > 0 && count <= 4_000_000)
  }

  /// Ten rounds of arithmetic in general and vector registers and memory, a write to an empty port,
  /// ten rounds more, and the port again.
  private static let realProgram: [UInt8] = [
    0xB9, 0x0A, 0x00,  // mov cx, 10
    0x01, 0xC8, 0xF7, 0xE3, 0x01, 0x06, 0x00, 0x90,  // add ax, cx; mul bx; add [9000h], ax
    0xE2, 0xF6,  // loop
    0xE6, 0x80,  // out 80h, al
    0xB9, 0x0A, 0x00, 0x01, 0xC8, 0xF7, 0xE3, 0x01, 0x06, 0x00, 0x90, 0xE2, 0xF6,
    0xE6, 0x80, 0xEB, 0xFE,
  ]

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func realModeProgramEndsTheSameWhereverItsHalvesRun() throws {
    var ends: [(Registers, UInt16)] = []
    for plan in [[true, true], [false, false], [true, false], [false, true]] {
      let pair = try Pair()
      pair.space.write(0x7C00, bytes: Self.realProgram)
      var state = try pair.kvm.state(now: 0)
      state.system.cs.base = 0
      state.system.cs.selector = 0
      state.registers = Registers()
      state.registers.rip = 0x7C00
      state.registers.rbx = 0x7531
      let stops: [UInt64] = [0x7C0F, 0x7C1E]
      for (onKVM, stop) in zip(plan, stops) { state = try run(pair, state, onKVM, until: stop) }
      ends.append((state.registers, pair.space.load(0x9000, as: UInt16.self)))
    }
    for end in ends { #expect(end.0 == ends[0].0 && end.1 == ends[0].1) }
    #expect(ends[0].1 != 0)
  }

  /// The same in 64-bit mode, ring 3, with PADDQ and FADD; a store to nobody's memory ends a half.
  private static let half: [UInt8] = [
    0xB9, 0x0A, 0x00, 0x00, 0x00,  // mov ecx, 10
    0x48, 0x01, 0xC8, 0x48, 0x0F, 0xAF, 0xC3,  // add rax, rcx; imul rax, rbx
    0x66, 0x48, 0x0F, 0x6E, 0xC8,  // movq xmm1, rax
    0x66, 0x0F, 0xD4, 0xC1, 0xD9, 0xE8, 0xDE, 0xC1,  // paddq xmm0, xmm1; fld1; faddp
    0x48, 0x01, 0x04, 0x25, 0x00, 0x90, 0x00, 0x00,  // add [9000h], rax
    0xFF, 0xC9, 0x75, 0xE0,  // dec ecx; jnz
    0x88, 0x04, 0x25, 0x00, 0x00, 0x00, 0x01,  // mov [1000000h], al
  ]

  @Test(.enabled(if: hasKVM, "this host has no usable /dev/kvm"))
  func ringThreeProgramEndsTheSameWhereverItsHalvesRun() throws {
    var ends: [(ProcessorState, UInt64)] = []
    for plan in [[true, true], [false, false], [true, false], [false, true]] {
      let pair = try Pair()
      let rig = try Rig()
      rig.long([], ring: 3)
      var state = rig.processor.state(now: 0)
      state.localAPIC = try pair.kvm.state(now: 0).localAPIC
      pair.space.write(0, bytes: rig.space.bytes(at: 0, count: 1 << 20))
      pair.space.store(UInt64(8 << 21 | 0x87), at: 0x12000 + 8 * 8)
      pair.space.write(Rig.code, bytes: Self.half + Self.half)
      state.registers.rbx = 0x1234_5678_9ABC_DEF1
      state.vectors.legacy.replaceSubrange(0..<2, with: [0x7F, 0x03])
      // ST0 is 1.0.
      state.vectors.legacy.replaceSubrange(2..<4, with: [0, 0x38])
      state.vectors.legacy[4] = 0x80
      state.vectors.legacy.replaceSubrange(32..<42, with: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xFF, 0x3F])
      let size = UInt64(Self.half.count)
      for (onKVM, stop) in zip(plan, [Rig.code + size, Rig.code + 2 * size]) {
        state = try run(pair, state, onKVM, until: stop)
      }
      ends.append((state, pair.space.load(0x9000, as: UInt64.self)))
    }
    for end in ends {
      #expect(end.0.registers == ends[0].0.registers && end.1 == ends[0].1)
      // Where the last x87 instruction was, some processors forget.
      #expect(end.0.vectors.legacy[32...] == ends[0].0.vectors.legacy[32...])
    }
    #expect(ends[0].1 != 0)
    // 1 and twenty times 1.
    #expect(ends[0].0.vectors.legacy[32..<42] == [0, 0, 0, 0, 0, 0, 0, 0xA8, 0x03, 0x40])
  }

  /// Runs the state on one engine of `pair` until RIP is `stop`.
  private func run(
    _ pair: Pair, _ state: ProcessorState, _ onKVM: Bool, until stop: UInt64
  ) throws -> ProcessorState {
    if onKVM {
      try pair.kvm.setState(state, now: 0)
      let exit = pair.runKVM()
      #expect(exit == .served)
      let end = try pair.kvm.state(now: 0)
      #expect(end.registers.rip == stop)
      return end
    }
    try pair.software.setState(state, now: 0)
    var steps = 0
    while pair.software.registers().rip != stop && steps < 1000 {
      _ = pair.software.run(instructions: 1)
      steps += 1
    }
    #expect(pair.software.registers().rip == stop)
    return pair.software.state(now: 0)
  }

  @Test func interruptedDeliveryGoesOnInTheInterpreter() throws {
    let rig = try Rig()
    rig.protected([0x90, 0x90])
    var state = rig.processor.state(now: 0)
    state.events.delivery = .exception(vector: 14, errorCode: 7)
    try rig.processor.setState(state, now: 0)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.halted == 14)
    #expect(rig.stack32(0) == 7 && rig.stack32(1) == 0x7C00)
    state.events.delivery = .nonMaskable
    try rig.processor.setState(state, now: 0)
    _ = rig.processor.run(instructions: 1)
    #expect(rig.halted == 2)
    #expect(rig.processor.state(now: 0).events.blocksNMI)
  }

  @Test func componentsThatAnEngineLacksAreRefusedWithASentence() throws {
    let rig = try Rig()
    var state = rig.processor.state(now: 0)
    state.vectors.components = [.init(number: 9, bytes: [UInt8](repeating: 1, count: 8))]
    let error = #expect(throws: ProcessorStateError.self) {
      try rig.processor.setState(state, now: 0)
    }
    #expect(error?.description.contains("protection keys") == true)
  }

  @Test func impossibleStatesAreRefused() throws {
    let rig = try Rig()
    let good = rig.processor.state(now: 0)
    let damage: [(inout ProcessorState) -> Void] = [
      { $0.debug.addresses = [] }, { $0.pageDirectoryPointers = [1] },
      { $0.system.cr0 = 0x8000_0010 }, { $0.system.efer = 1 << 10 },
      { $0.vectors.legacy = [1] }, { $0.vectors.xcr0 = 4 }, { $0.vectors.legacy[27] = 1 },
      { $0.vectors.components = [.init(number: -1, bytes: [])] },
      { $0.modelRegisters = .init(repeating: .init(index: 1, value: 1), count: 1000) },
    ]
    for change in damage {
      var state = good
      change(&state)
      #expect(throws: ProcessorStateError.self) { try rig.processor.setState(state, now: 0) }
    }
  }
}
