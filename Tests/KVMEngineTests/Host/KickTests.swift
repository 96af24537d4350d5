import CKVM
import Glibc
import KVMEngine
import Synchronization
import Testing

/// The signal that brings a vCPU out of guest code.
@Suite struct KickTests {
  @Test func aKickLeavesTheOtherRequestsInItsByteAlone() throws {
    try KVMProcessor.installKickHandler()
    let seen = Mutex<(byte: UInt8, kicks: [Bool])>((0, []))
    // The signal is open on threads of this kind, and handled before the call that sends it to its
    // own thread returns.
    let thread = try Thread(name: "kicked") {
      var flag: UInt8 = 2
      withUnsafeMutablePointer(to: &flag) { flag in
        ckvm_set_exit_flag(flag)
        _ = ckvm_send_kick(pthread_self())
        ckvm_set_exit_flag(nil)
        seen.withLock { $0 = (flag.pointee, [ckvm_take_kick(), ckvm_take_kick()]) }
      }
    }
    thread.join()
    seen.withLock { seen in
      #expect(seen.byte == 3)
      #expect(seen.kicks == [true, false])
    }
  }
}
