import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

struct PCITests {
  private let rig = PCIRig()
  private let echo = EchoDevice()

  private func makeFunction(pin: Int? = 0) -> PCIFunction {
    let function = PCIFunction(
      name: "echo",
      PCIIdentity(vendor: 0x1AF4, device: 0x0001, classCode: 0xFF0000, interruptPin: pin))
    function.setRegion(0, PCIRegion(.memory(echo, isPrefetchable: false), size: 0x1000))
    function.setRegion(1, PCIRegion(.ports(echo, wiring: .bytes), size: 0x20))
    return function
  }

  @Test func anEmptySlotReadsAsAllOnes() throws {
    try rig.wire()
    #expect(rig.read(5, 0, 0) == 0xFFFF_FFFF)
    #expect(rig.read(5, 0, 2, .word) == 0xFFFF)
    rig.write(5, 0, 0x10, 1)
  }

  @Test func headerIsReadInEveryWidth() throws {
    try rig.wire()
    try rig.bus.attach(makeFunction(), slot: 5)
    #expect(rig.read(5, 0, 0) == 0x0001_1AF4)
    #expect(rig.read(5, 0, 2, .word) == 1)
    #expect(rig.read(5, 0, 0x0B, .byte) == 0xFF)
    #expect(rig.read(5, 0, 0x3D, .byte) == 1)
    // Nothing of it can be written, and other functions of the slot do not exist.
    rig.write(5, 0, 0, 0)
    #expect(rig.read(5, 0, 0) == 0x0001_1AF4)
    #expect(rig.read(5, 1, 0) == 0xFFFF_FFFF)
  }

  @Test func baseAddressesTellTheirSizeAndMoveWhatIsBehindThem() throws {
    try rig.wire()
    try rig.bus.attach(makeFunction(), slot: 5)
    rig.write(5, 0, 0x10, 0xFFFF_FFFF)
    rig.write(5, 0, 0x14, 0xFFFF_FFFF)
    #expect(rig.read(5, 0, 0x10) == 0xFFFF_F000)
    #expect(rig.read(5, 0, 0x14) == 0xFFFF_FFE1)
    rig.write(5, 0, 0x10, 0xF000_0000)
    rig.write(5, 0, 0x14, 0xC020)
    #expect(rig.memory.read(0xF000_0008, width: .dword) == 0xFFFF_FFFF)
    #expect(rig.ports.read(0xC021, width: .byte) == 0xFF)
    rig.write(5, 0, 0x04, 3, .word)
    #expect(rig.memory.read(0xF000_0008, width: .dword) == 0x108)
    #expect(rig.ports.read(0xC021, width: .word) == 0x4241)
    rig.write(5, 0, 0x10, 0xF100_0000)
    #expect(rig.memory.read(0xF000_0008, width: .dword) == 0xFFFF_FFFF)
    #expect(rig.memory.read(0xF100_0008, width: .dword) == 0x108)
    // RAM keeps its addresses, and so do the interrupt controllers.
    for address: UInt32 in [0x1000, 0xFEC0_0000, 0xFFFF_F000] {
      rig.write(5, 0, 0x10, address)
      #expect(rig.memory.read(UInt64(address), width: .byte) == 0xFF)
    }
  }

  @Test func aSecondFunctionMakesTheDeviceOneOfSeveral() throws {
    try rig.wire()
    try rig.bus.attach(makeFunction(), slot: 6)
    #expect(rig.read(6, 0, 0x0E, .byte) == 0)
    try rig.bus.attach(makeFunction(), slot: 6, number: 3)
    #expect(rig.read(6, 0, 0x0E, .byte) == 0x80)
    #expect(throws: BusError.self) { try rig.bus.attach(makeFunction(), slot: 6, number: 3) }
  }

  @Test func interruptWiresAreSharedAndRouted() throws {
    try rig.wire()
    let bridge = ISABridge.make(rig.bus.interrupts)
    // Slots 1 and 5 have INTA# on PIRQA, slot 2 on PIRQB.
    let (first, second, third) = (makeFunction(), makeFunction(), makeFunction())
    try rig.bus.attach(bridge, slot: 1)
    try rig.bus.attach(first, slot: 5)
    try rig.bus.attach(second, slot: 9)
    try rig.bus.attach(third, slot: 2)
    rig.write(1, 0, 0x60, 0x0B0A, .word)
    first.interruptLine.set(true)
    second.interruptLine.set(true)
    #expect(rig.lines.level(10) && !rig.lines.level(11))
    #expect(rig.read(5, 0, 0x06, .word) & 8 != 0)
    first.interruptLine.set(false)
    #expect(rig.lines.level(10))
    rig.write(9, 0, 0x04, 0x400, .word)
    #expect(!rig.lines.level(10))
    rig.write(9, 0, 0x04, 0, .word)
    #expect(rig.lines.level(10))
    third.interruptLine.set(true)
    #expect(rig.lines.level(11))
    rig.write(1, 0, 0x60, 0x05, .byte)
    #expect(!rig.lines.level(10) && rig.lines.level(5))
    rig.write(1, 0, 0x60, 0x80, .byte)
    #expect(!rig.lines.level(5))
  }

  @Test func restoredFunctionIsWhereTheSavedOneWas() throws {
    try rig.wire()
    let function = makeFunction()
    try rig.bus.attach(function, slot: 5)
    rig.write(5, 0, 0x10, 0xF000_0000)
    rig.write(5, 0, 0x04, 2, .word)
    let saved = function.save()
    function.reset()
    #expect(rig.memory.read(0xF000_0008, width: .dword) == 0xFFFF_FFFF)
    try function.restore(saved)
    #expect(rig.memory.read(0xF000_0008, width: .dword) == 0x108)
  }

  @Test func firmwareGivesEverythingAPlaceWithoutOverlap() throws {
    try rig.wire()
    for slot in 2..<10 { try rig.bus.attach(makeFunction(), slot: slot) }
    PCIAssignment.assign(rig.bus)
    var memories: Set<UInt32> = []
    var ports: Set<UInt32> = []
    for slot in 2..<10 {
      memories.insert(rig.read(slot, 0, 0x10))
      ports.insert(rig.read(slot, 0, 0x14))
      #expect(rig.read(slot, 0, 0x04, .word) & 3 == 3)
      #expect([10, 11].contains(rig.read(slot, 0, 0x3C, .byte)))
    }
    #expect(memories.count == 8 && ports.count == 8)
    #expect(memories.contains(0xE000_0000))
  }

  @Test func functionsConform() {
    let violations = conformanceViolations(
      make: { makeFunction() },
      ports: { [(FunctionPorts(function: $0), 0...255)] })
    #expect(violations == [])
  }

  @Test func busConforms() {
    let violations = conformanceViolations(
      make: {
        let rig = PCIRig()
        try? rig.bus.attach(makeFunction(), slot: 0)
        return rig.bus
      },
      ports: {
        [
          (
            ConfigurationAddressPorts(reset: ResetControl(resetRequested: {}), bus: $0), 0...3
          ), ($0, 0...3), ($0.ports, 0x400...0xFFFF),
        ]
      },
      memories: { [($0.memory, 0x7EC0_0000)] })
    #expect(violations == [])
  }
}

/// A function's configuration space as ports.
final class FunctionPorts: PortDevice {
  private let function: PCIFunction
  init(function: PCIFunction) { self.function = function }
  func readPort(_ offset: UInt16, width: AccessWidth) -> UInt32 {
    function.read(Int(offset), width: width)
  }
  func writePort(_ offset: UInt16, width: AccessWidth, value: UInt32) {
    function.write(Int(offset), width: width, value: value)
  }
}
