import CKVM
import Glibc
import KVMEngine
import Testing

/// The signal that brings a vCPU out of guest code.
@Suite struct KickTests {
  @Test func aKickLeavesTheOtherRequestsInItsByteAlone() throws {
    try KVMProcessor.installKickHandler()
    let flag = UnsafeMutablePointer<UInt8>.allocate(capacity: 1)
    flag.initialize(to: 2)
    ckvm_set_exit_flag(flag)
    defer {
      ckvm_set_exit_flag(nil)
      flag.deallocate()
    }
    // A signal that a thread sends to itself is handled before the call returns.
    #expect(ckvm_send_kick(pthread_self()) == 0)
    #expect(flag.pointee == 3)
    #expect(ckvm_take_kick())
    #expect(!ckvm_take_kick())
  }
}
