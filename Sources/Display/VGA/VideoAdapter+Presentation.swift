import KVMEngine

/// Which memory the guest sees at A0000h to BFFFFh without an exit.
///
/// Taking a window away must happen before the guest's next access and is done at once. Showing one
/// costs some 200 microseconds and is put off until accesses prove that it pays.
extension VideoAdapter {
  /// Accesses through exits after which the window is mapped.
  private static let accessesBeforeMapping = 4

  /// Called after every register change that can matter: takes the window away where it does not
  /// show what it should any more.
  func reconsider(_ live: inout Live) {
    if live.presentation != live.chips.presentation { withdraw(&live) }
  }

  /// Everything through exits; what the text window held goes back to the planes.
  func withdraw(_ live: inout Live) {
    guard live.presentation != .pipeline else { return }
    collectDirtyPages(&live)
    unmapLegacy(&live)
    if live.chips.textInWindow {
      memory.copyTextToPlanes()
      live.chips.textInWindow = false
      live.dirty.text = 0
      live.dirty.mark(0..<VideoMemory.planeBytes)
    }
    live.presentation = .pipeline
    live.savableAccesses = 0
  }

  /// Counts an access that mapping would have saved, and maps after enough of them.
  func countSavableAccess(_ live: inout Live, _ count: Int = 1) {
    guard live.chips.presentation != live.presentation else { return }
    live.savableAccesses += count
    if live.savableAccesses >= Self.accessesBeforeMapping { present(&live) }
  }

  /// Shows the window as the registers allow.
  func present(_ live: inout Live, copyingText: Bool = true) {
    let wanted = live.chips.presentation
    guard live.presentation != wanted else { return }
    withdraw(&live)
    live.presentation = wanted
    do {
      switch wanted {
      case .pipeline:
        return
      case .text(let place):
        if copyingText { memory.copyPlanesToText() }
        live.chips.textInWindow = true
        live.dirty.text = ~0
        try legacyWindow.map(
          at: Self.legacyRange.lowerBound + UInt64(place), offset: VideoMemory.textOffset,
          size: VideoMemory.textBytes)
      case .visible(let place, let offset, let size):
        try legacyWindow.map(
          at: Self.legacyRange.lowerBound + UInt64(place), offset: offset, size: size)
      }
    } catch {
      complain(&live, error)
    }
  }

  func unmapLegacy(_ live: inout Live) {
    do { try legacyWindow.unmap() } catch { complain(&live, error) }
  }

  /// Moves what the windows know of written pages into `live.dirty`.
  func collectDirtyPages(_ live: inout Live) {
    var found = live.dirty.takeAll(from: linearWindow)
    switch live.presentation {
    case .pipeline: break
    case .text: found = live.dirty.takeText(from: legacyWindow) || found
    case .visible(_, let offset, let size):
      found = live.dirty.take(from: legacyWindow, offset: offset, size: size) || found
    }
    if found { live.touched = true }
  }
}
