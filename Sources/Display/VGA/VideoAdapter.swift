import KVMEngine
import Synchronization

/// A VGA with the Bochs display interface (IBM VGA Technical Reference; Bochs "VBE Display
/// Interface"): six chip blocks, 16 MiB that can be shown, and the drawing of the picture.
///
/// Ports 3B4h to 3DFh are the adapter itself as a ``PortDevice``, the legacy memory A0000h to BFFFFh
/// the adapter as a ``MemoryDevice``; ``dispiPorts`` and ``linearMemory`` are what else it has.
/// While a mode lets it, memory is mapped into the guest and drawing costs no exits.
///
/// Lock order: the state's lock, then the windows' locks. The renderer's lock is never held together
/// with the state's. Drawing a picture holds only the renderer's lock.
///
/// Not modelled: the vertical interrupt, light pen, overscan, and what the chip blocks name.
public final class VideoAdapter: Device, FrameSource, PortDevice, MemoryDevice {
  /// Bytes of memory that the adapter needs: 32 MiB.
  public static let memoryBytes = VideoMemory.totalBytes
  /// Bytes that linear modes can show: the size of the linear window, 16 MiB.
  public static let visibleBytes = VideoMemory.visibleBytes
  /// Bytes of the text window, 32 KiB.
  public static let textBytes = VideoMemory.textBytes
  /// Where the adapter is registered as a ``PortDevice``, wired as bytes.
  public static let ports: ClosedRange<UInt16> = 0x3B4...0x3DF
  /// The ports inside ``ports`` that are the adapter's, for a machine where others share the range:
  /// 3BCh to 3BFh belong to a printer port.
  public static let portRanges: [ClosedRange<UInt16>] = [0x3B4...0x3BB, 0x3C0...0x3DF]
  /// Where ``dispiPorts`` is registered, wired natively.
  public static let dispiPortRange: ClosedRange<UInt16> = 0x1CE...0x1D0
  /// Where the adapter is registered as a ``MemoryDevice``.
  public static let legacyRange: ClosedRange<UInt64> = 0xA0000...0xBFFFF
  /// The largest picture.
  public static let maximumSize = FrameSize(
    width: BochsDispi.maximumWidth, height: BochsDispi.maximumHeight)

  /// What the lock guards.
  struct Live {
    var chips = VideoChips()
    /// What the legacy window shows now; `chips.presentation` is what it could show.
    var presentation = Presentation.pipeline
    /// Accesses through exits that mapping the window would have saved.
    var savableAccesses = 0
    var dirty = DirtyPages()
    /// Something changed that any pixel may depend on.
    var redraw = true
    /// The cursor's registers changed.
    var rescan = true
    var palette = [UInt32](repeating: 0, count: 256)
    var colors = [UInt32](repeating: 0, count: 16)
    var paletteIsStale = true
    /// The picture's size, which a blank screen keeps.
    var size = Renderer.initialSize
    var handler: (@Sendable () -> Void)?
    /// Something changed since ``sequence`` was counted last.
    var touched = true
    /// Changes that were noticed, and when the last one was.
    var sequence: UInt64 = 0
    var changedAt: UInt64 = 0
    /// The handler was called since the last update.
    var notified = false
    /// Guest-physical address of the linear frame buffer; nil while it is nowhere.
    var linearAddress: UInt64?
    /// A host failure was logged.
    var complained = false
  }

  public let name = "vga"
  /// Guest-physical address of the linear frame buffer; nil while it is nowhere.
  public var linearAddress: UInt64? { state.withLock { $0.linearAddress } }

  /// What the adapter's picture is shown on.
  public let monitor = DisplayMonitor()

  let memory: VideoMemory
  let planes: PlanarMemory
  let clock: any Clock
  let legacyWindow: MemoryWindow
  let linearWindow: MemoryWindow
  let log: @Sendable (String) -> Void
  let state = Mutex(Live())
  let renderer = Mutex(Renderer())

  /// - Parameters:
  ///   - memory: ``memoryBytes`` or more, the adapter's alone.
  ///   - legacyWindow: a window of `memory` for A0000h to BFFFFh.
  ///   - linearWindow: a window of `memory` for the linear frame buffer.
  ///   - linearAddress: where the linear frame buffer lies, a multiple of 4096; nil for nowhere.
  ///   - log: called once when the host refuses a mapping; the adapter then works through exits.
  public init(
    memory: MemoryBlock, clock: any Clock, legacyWindow: MemoryWindow,
    linearWindow: MemoryWindow, linearAddress: UInt64? = 0xE000_0000,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) {
    self.memory = VideoMemory(memory)
    planes = PlanarMemory(memory: self.memory)
    self.clock = clock
    self.legacyWindow = legacyWindow
    self.linearWindow = linearWindow
    self.log = log
    state.withLock { live in
      live.linearAddress = linearAddress
      mapLinear(&live)
    }
  }

  /// Moves the linear frame buffer to `address`, a multiple of 4096, or nowhere. Any thread; a lock
  /// that comes before the adapter's may be held.
  public func moveLinear(to address: UInt64?) {
    state.withLock { live in
      guard address != live.linearAddress else { return }
      collectDirtyPages(&live)
      live.linearAddress = address
      mapLinear(&live)
      changed(&live)
    }
  }

  private func mapLinear(_ live: inout Live) {
    do {
      guard let address = live.linearAddress else { return try linearWindow.unmap() }
      try linearWindow.map(at: address, offset: 0, size: Self.visibleBytes)
    } catch {
      complain(&live, error)
    }
  }

  /// Puts the registers into the state after power-on: a black screen, no memory at A0000h. The
  /// memory keeps its contents.
  public func reset() {
    state.withLock { live in
      withdraw(&live)
      live.chips = VideoChips()
      live.paletteIsStale = true
      mapLinear(&live)
      changed(&live)
    }
  }

  public func save() -> VideoChips { state.withLock { $0.chips } }

  public func restore(_ saved: VideoChips) throws(RestoreError) {
    guard saved.isWellFormed else {
      throw RestoreError(device: name, problem: "registers that the adapter does not have")
    }
    if saved.textInWindow {
      guard case .text = saved.presentation else {
        throw RestoreError(device: name, problem: "text in the window in a mode without one")
      }
    }
    state.withLock { live in
      unmapLegacy(&live)
      live.presentation = .pipeline
      live.chips = saved
      live.paletteIsStale = true
      if saved.textInWindow { present(&live, copyingText: false) }
      changed(&live)
    }
  }

  /// The mode as the registers have it: its size, nil where the screen is off, and whether it is one
  /// of text.
  public var shownMode: (size: FrameSize?, isText: Bool) {
    let mode = state.withLock { ScreenMode($0.chips) }
    if case .text = mode { return (mode.size, true) }
    return (mode.size, false)
  }

  // MARK: Telling the display

  public func setChangeHandler(_ handler: @escaping @Sendable () -> Void) {
    state.withLock { live in
      live.handler = handler
      live.notified = false
    }
  }

  /// The whole picture may be another one.
  func changed(_ live: inout Live) {
    live.redraw = true
    notify(&live)
  }

  /// Tells the display thread once that it has something to do.
  func notify(_ live: inout Live) {
    live.touched = true
    guard !live.notified else { return }
    live.notified = true
    live.handler?()
  }

  /// Logs the first host failure.
  func complain(_ live: inout Live, _ error: HostError) {
    guard !live.complained else { return }
    live.complained = true
    log("vga: \(error); drawing is slower")
  }
}
