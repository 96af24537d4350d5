import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

/// What control ports asked for.
private final class Requests: Sendable {
  let gate = Mutex<[Bool]>([])
  let resets = Mutex(0)
  let exits = Mutex<[UInt8]>([])

  func makePortA() -> SystemControlPortA {
    SystemControlPortA(
      a20Changed: { level in self.gate.withLock { $0.append(level) } },
      resetRequested: { self.resets.withLock { $0 += 1 } })
  }
  func makeResetControl() -> ResetControl {
    ResetControl { self.resets.withLock { $0 += 1 } }
  }
  var resetCount: Int { resets.withLock { $0 } }
  var gateLevels: [Bool] { gate.withLock { $0 } }
}

@Suite struct ControlPortTests {
  @Test func portAMovesA20Gate() {
    let requests = Requests()
    let port = requests.makePortA()
    #expect(port.readPort(0, width: .byte) == 0x02)
    port.writePort(0, width: .byte, value: 0x00)
    port.writePort(0, width: .byte, value: 0x02)
    #expect(requests.gateLevels == [false, true])
    #expect(requests.resetCount == 0)
  }

  @Test func portAResetsOnRisingBit() {
    let requests = Requests()
    let port = requests.makePortA()
    port.writePort(0, width: .byte, value: 0x03)
    port.writePort(0, width: .byte, value: 0x03)
    #expect(requests.resetCount == 1)
    port.reset()
    #expect(port.readPort(0, width: .byte) == 0x02)
    #expect(requests.gateLevels.last == true)
  }

  @Test func resetControlResetsOnRisingBit() {
    let requests = Requests()
    let port = requests.makeResetControl()
    port.writePort(0, width: .byte, value: 0x02)
    #expect(requests.resetCount == 0)
    #expect(port.readPort(0, width: .byte) == 0x02)
    port.writePort(0, width: .byte, value: 0x06)
    #expect(requests.resetCount == 1)
    port.writePort(0, width: .byte, value: 0x0E)
    #expect(requests.resetCount == 1)
  }

  @Test func postCodeIsKept() {
    let port = POSTCodePort()
    port.writePort(0, width: .byte, value: 0x7E)
    #expect(port.code == 0x7E)
    #expect(port.readPort(0, width: .byte) == 0x7E)
  }

  @Test func debugExitTellsItsByte() {
    let requests = Requests()
    let port = DebugExitPort { byte in requests.exits.withLock { $0.append(byte) } }
    port.writePort(0, width: .byte, value: 0x21)
    #expect(requests.exits.withLock { $0 } == [0x21])
    #expect(port.readPort(0, width: .byte) == 0xFF)
  }

  @Test func conform() {
    let requests = Requests()
    let portA = conformanceViolations(
      make: requests.makePortA, ports: { [($0, 0x92...0x92)] })
    let control = conformanceViolations(
      make: requests.makeResetControl, ports: { [($0, 0xCF9...0xCF9)] })
    let post = conformanceViolations(make: { POSTCodePort() }, ports: { [($0, 0x80...0x80)] })
    let exit = conformanceViolations(
      make: { DebugExitPort(exitRequested: { _ in }) }, ports: { [($0, 0xF4...0xF4)] })
    #expect(portA + control + post + exit == [])
  }
}
