import Glibc
import Testing
import Synchronization

@testable import Machine

/// Sentences that something told.
final class Problems: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
}

/// Kernels of a few instructions that run, and tell by the debug exit port what they found.
@Suite struct DirectBootRunTests {
  private static let engines: [EngineKind] = EngineKind.allCases.filter {
    $0 == .software || access("/dev/kvm", R_OK | W_OK) == 0
  }
  private static let debugExit: [UInt8] = [0xE6, 0xF4, 0xF4, 0xEB, 0xFD]

  private func run(
    _ kernel: [UInt8], _ engine: EngineKind, memory: Int = 16 << 20
  ) throws -> StopReason {
    let folder = try BootFolder()
    var configuration = MachineConfiguration()
    configuration.memoryBytes = memory
    configuration.engine = engine
    configuration.debugExit = true
    configuration.onTripleFault = .stop
    configuration.directBoot = DirectBootFiles(kernel: folder.file("kernel", kernel))
    let machine = try Machine(configuration) { _ in }
    try machine.start()
    defer { withExtendedLifetime(folder) {} }
    return machine.waitUntilStopped()
  }

  private func elf(_ is64Bit: Bool, _ code: [UInt8], notes: [UInt8] = []) -> [UInt8] {
    KernelFiles.elf(
      is64Bit: is64Bit, entry: 0x0010_0000,
      segments: [.init(address: 0x0010_0000, content: code)], notes: notes)
  }

  /// MOV AL,40h; then REX.W NOP, or DEC EAX and NOP in 32-bit code; ADD AL,[RSI+1E8h]: how many
  /// ranges the memory map has.
  private static let modeAndMap: [UInt8] =
    [0xB0, 0x40, 0x48, 0x90, 0x02, 0x86, 0xE8, 0x01, 0, 0] + debugExit
  private var ranges: UInt8 {
    UInt8(FirmwareConfiguration(ramBelow4G: 16 << 20).memoryMap.count)
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func a64BitKernelRunsIn64BitMode(_ engine: EngineKind) throws {
    #expect(try run(elf(true, Self.modeAndMap), engine) == .debugExit(0x40 + ranges))
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func a32BitKernelRunsIn32BitMode(_ engine: EngineKind) throws {
    #expect(try run(elf(false, Self.modeAndMap), engine) == .debugExit(0x3F + ranges))
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func aPVHKernelFindsItsStartInformation(_ engine: EngineKind) throws {
    // MOV AL,[EBX]; ADD AL,[EBX+30h]: the magic number's first byte and the count of ranges.
    let code: [UInt8] = [0x8A, 0x03, 0x02, 0x43, 0x30] + Self.debugExit
    let notes = KernelFiles.note("Xen", 18, [0, 0, 0x10, 0])
    #expect(try run(elf(true, code, notes: notes), engine) == .debugExit(0x78 + ranges))
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func anOldKernelRunsInRealModeWithTheBIOS(_ engine: EngineKind) throws {
    // At 9020:0, behind a jump over the header: INT 12h; SHR AX,4; MOV CX,CS; ADD AL,CL.
    var kernel = KernelFiles.bzImage(version: 0x0203)
    let code: [UInt8] = [0xCD, 0x12, 0xC1, 0xE8, 0x04, 0x8C, 0xC9, 0x02, 0xC1] + Self.debugExit
    kernel.replaceSubrange(0x268..<(0x268 + code.count), with: code)
    #expect(try run(kernel, engine) == .debugExit(UInt8(639 >> 4) + 0x20))
  }

  @Test(.timeLimit(.minutes(1)), arguments: engines)
  func aResetBootsTheKernelAgain(_ engine: EngineKind) throws {
    // Counts in memory that nothing clears; the first time it resets by port CF9h.
    let code: [UInt8] =
      [0xFE, 0x04, 0x25, 0, 0, 0x20, 0] + [0x8A, 0x04, 0x25, 0, 0, 0x20, 0] + [0x3C, 0x02]
      + [0x74, 0x0A] + [0x66, 0xBA, 0xF9, 0x0C] + [0xB0, 0x06, 0xEE, 0xF4, 0xEB, 0xFD]
      + Self.debugExit
    #expect(try run(elf(true, code), engine) == .debugExit(2))
  }
}
