import KVMEngine

@testable import Interpreter

/// What running the same instruction in a rig and on the host's own processor needs. The guest's page
/// tables map one page at the address that it has in this process, so that the same registers name the
/// same bytes on both sides.
enum NativeComparison {
  /// A register's value: on an edge, small or any.
  static func value(_ dice: inout Dice) -> UInt64 {
    let edges: [UInt64] = [
      0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, .max, 1 << 63,
    ]
    switch Int.random(in: 0..<4, using: &dice) {
    case 0: return edges.randomElement(using: &dice) ?? 0
    case 1: return UInt64.random(in: 0..<100, using: &dice)
    default: return dice.next()
    }
  }

  /// Maps the 4 KiB page `linear` for everybody.
  static func map(_ rig: Rig, _ linear: UInt64, to physical: UInt64) {
    var table: UInt64 = 0x10000
    for (level, next) in [(UInt64(39), UInt64(0x13000)), (30, 0x14000), (21, 0x15000)] {
      rig.space.store(next | 7, at: table + (linear >> level & 0x1FF) * 8)
      table = next
    }
    rig.space.store(physical | 7, at: table + (linear >> 12 & 0x1FF) * 8)
  }

  static func restoreRing(_ rig: Rig) {
    rig.processor.setSystemRegisters(rig.processor.systemRegisters())
  }

  static func set(_ rig: Rig, _ v: [UInt64], _ flags: UInt64) {
    rig.set {
      ($0.rax, $0.rcx, $0.rdx, $0.rbx, $0.rsp, $0.rbp, $0.rsi, $0.rdi) =
        (v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7])
      ($0.r8, $0.r9, $0.r10, $0.r11, $0.r12, $0.r13, $0.r14, $0.r15) =
        (v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15])
      $0.rip = Rig.code
      $0.rflags = flags
    }
  }

  static func list(_ r: Registers) -> [UInt64] {
    [
      r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12,
      r.r13, r.r14, r.r15,
    ]
  }
}
