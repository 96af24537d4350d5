import CInterpreter
import KVMEngine
import Synchronization

/// What the hybrid processors of one machine have in common.
public final class HybridMachine: Sendable {
  let hypervisor: KVMVirtualMachine
  let tables = ShadowedTables()
  let forgetter: EntryForgetter
  /// How often user code was run, by any processor.
  let userRuns = Atomic<UInt64>(0)
  private let engines = Mutex<[UserEngine]>([])
  /// Lent to KVM for an instant to have it forget all.
  private let spare: MemoryBlock

  /// - Parameters:
  ///   - hypervisor: made without local APICs.
  ///   - memoryEnd: where guest RAM ends, in bytes from address 0.
  public init(_ hypervisor: KVMVirtualMachine, memoryEnd: UInt64) throws(HostError) {
    self.hypervisor = hypervisor
    hypervisor.tellPendingShutdowns()
    forgetter = try EntryForgetter(hypervisor, memoryEnd: memoryEnd)
    spare = try MemoryBlock(name: "spare", size: 4096)
  }

  func add(_ engine: UserEngine) { engines.withLock { $0.append(engine) } }

  /// The roots with which processors are in KVM.
  var activeRoots: [UInt64] {
    engines.withLock { engines in
      engines.map { $0.activeRoot.load(ordering: .sequentiallyConsistent) }.filter { $0 != .max }
    }
  }

  /// Has every interpreter but that of `engine` look at its stores to page tables from now on.
  func settle(but engine: UserEngine) {
    let others = engines.withLock { engines in engines.filter { $0 !== engine } }
    for other in others { other.attention.raise(PageChange.tablesMarked) }
    for other in others {
      while other.isInterpreting.load(ordering: .sequentiallyConsistent),
        other.attention.word.pointee.load(ordering: .sequentiallyConsistent)
          & PageChange.tablesMarked != 0
      { ci_pause() }
    }
  }

  /// Has KVM forget every translation.
  func forgetAll() throws(HostError) { try hypervisor.forgetTranslations(page: spare.base) }
}
