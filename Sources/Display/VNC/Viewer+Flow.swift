import CVNC
import KVMEngine

/// Fences, and updates that a viewer gets without asking for each (the extensions Fence and
/// ContinuousUpdates of the community's RFB protocol document).
extension Viewer {
  private static let fenceHeader = 9
  private static let longestPayload = 64
  private static let enableBytes = 10

  /// The bits of a fence: what is to be done before and after it, and that it is to be sent back.
  private enum FenceFlag {
    static let known: UInt32 = 7
    static let request: UInt32 = 1 << 31
  }

  /// The message that is a fence, in either direction.
  static func fence(flags: UInt32, payload: [UInt8]) -> [UInt8] {
    [248, 0, 0, 0] + withUnsafeBytes(of: flags.bigEndian) { Array($0) }
      + [UInt8(truncatingIfNeeded: payload.count)] + payload
  }

  /// A fence that the viewer is to send back.
  static func fenceRequest(_ number: UInt32) -> [UInt8] {
    fence(
      flags: FenceFlag.request | 1, payload: withUnsafeBytes(of: number.bigEndian) { Array($0) })
  }

  /// Reads a fence: one to send back, or one of ours. False where it is none that was announced.
  func takeFence(_ viewer: OpaquePointer) -> Bool {
    guard
      monitor.withLock({
        window.isOpen || news.understood.contains(ViewerNews.Encoding.fence)
      }),
      let header = socket.peek(Self.fenceHeader, until: messageDeadline),
      header[8] <= Self.longestPayload,
      let message = socket.read(Self.fenceHeader + Int(header[8]), until: messageDeadline)
    else { return false }
    let flags = Self.word(message, at: 4)
    let payload = Array(message[Self.fenceHeader...])
    if flags & FenceFlag.request != 0 {
      // All earlier messages were served; what is written now stands before the next update.
      monitor.withLock {
        news.add(Self.fence(flags: flags & FenceFlag.known, payload: payload))
        monitor.broadcast()
      }
    } else if payload.count == 4 {
      let number = Self.word(payload, at: 0)
      let goesOn = monitor.withLock { window.noteReturned(number, at: Monitor.monotonic()) }
      if goesOn { wantNext(viewer) }
    }
    return true
  }

  /// Reads EnableContinuousUpdates; false where that was not announced.
  func takeContinuousUpdates(_ viewer: OpaquePointer) -> Bool {
    guard
      monitor.withLock({ news.understood.isSuperset(of: ViewerNews.continuousEncodings) }),
      let message = socket.read(Self.enableBytes, until: messageDeadline)
    else { return false }
    let isOn = message[1] != 0
    func number(_ at: Int) -> Int32 { Int32(message[at]) << 8 | Int32(message[at + 1]) }
    let area = cvnc_rect(
      x: number(2), y: number(4), width: isOn ? number(6) : 0, height: isOn ? number(8) : 0)
    cvnc_continue(viewer, area)
    monitor.withLock {
      let ends = window.isOpen && !isOn
      window.isOpen = isOn
      if ends { news.add(ViewerNews.endOfContinuousUpdates) }
    }
    wantNext(viewer)
    return true
  }

  /// An update was sent: a fence follows, and the next update if there is room for one. On the writing
  /// thread; false where the peer is lost.
  func followUp(_ viewer: OpaquePointer) -> Bool {
    let number = monitor.withLock {
      window.isOpen ? window.noteSent(at: Monitor.monotonic()) : nil
    }
    guard let number else { return true }
    let fence = Self.fenceRequest(number)
    guard cvnc_write(viewer, fence, fence.count) else { return false }
    if monitor.withLock({ !window.isHeld }) { wantNext(viewer) }
    return true
  }

  /// As if the viewer had asked for the next update.
  private func wantNext(_ viewer: OpaquePointer) {
    cvnc_ask_again(viewer)
    monitor.withLock { monitor.broadcast() }
    pump.noteRequest()
  }
}
