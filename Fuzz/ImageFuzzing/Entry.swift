#if FUZZING
  import Synchronization

  private struct Shared: @unchecked Sendable {
    // SAFETY: libFuzzer calls its entry from one thread.
    let image = HostileImage()
  }

  private let shared = Shared()

  /// libFuzzer's entry: the first 64 bytes are what is done, the rest is the image.
  @_cdecl("LLVMFuzzerTestOneInput")
  func fuzzImage(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let bytes, count > 64 else { return 0 }
    let all = UnsafeRawBufferPointer(start: bytes, count: count)
    let steps = (0..<8).map { all.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
    shared.image.run(UnsafeRawBufferPointer(rebasing: all[64...]), steps: steps)
    return 0
  }
#endif
