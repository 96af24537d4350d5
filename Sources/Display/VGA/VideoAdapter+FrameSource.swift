import KVMEngine

/// The adapter as the display thread sees it.
extension VideoAdapter {
  public func update(_ frame: Frame, everything: Bool) -> FrameUpdate {
    let shot = state.withLock { live in
      let shot = takeShot(&live)
      live.dirty = DirtyPages()
      live.redraw = false
      live.rescan = false
      live.notified = false
      return shot
    }
    return renderer.withLock {
      $0.update(frame, shot, memory: memory, everything: everything)
    }
  }

  public func capture() -> Frame { screenshot().frame }

  /// How often a picture is drawn anew because the guest drew meanwhile.
  private static let attempts = 8

  /// The picture as it is now, taken while the guest drew nothing; where it draws all the time, as
  /// it is after ``attempts`` attempts.
  /// - Parameter steady: with everything shown that blinks, so that only the guest changes pictures.
  public func screenshot(steady: Bool = false) -> Screenshot {
    var taken = attempt(steady)
    for _ in 1..<Self.attempts where !taken.whole { taken = attempt(steady) }
    return taken.screenshot
  }

  private func attempt(_ steady: Bool) -> (screenshot: Screenshot, whole: Bool) {
    let (shot, size, sequence, changed) = state.withLock { live in
      let shot = takeShot(&live)
      return (shot, live.size, live.sequence, live.changedAt)
    }
    let frame = Frame(size: size)
    var renderer = Renderer()
    var drawn = shot
    if steady { drawn.time = 0 }
    _ = renderer.update(frame, drawn, memory: memory, everything: true)
    let whole = state.withLock { live in
      collectDirtyPages(&live)
      noteSequence(&live, at: shot.time)
      return live.sequence == sequence
    }
    let screenshot = Screenshot(
      frame: frame, sequence: sequence, time: shot.time, damageAge: shot.time &- changed)
    return (screenshot, whole)
  }

  /// Counts what changed since it was asked last as one change, noticed at `time`.
  private func noteSequence(_ live: inout Live, at time: UInt64) {
    guard live.touched else { return }
    live.touched = false
    live.sequence &+= 1
    live.changedAt = time
  }

  public func offer(_ size: FrameSize) -> Bool { monitor.prefer(size) }

  /// The adapter at this moment. Dirty pages go on being dirty.
  func takeShot(_ live: inout Live) -> Shot {
    collectDirtyPages(&live)
    if live.paletteIsStale {
      live.palette = live.chips.dac.pixels()
      live.colors = live.chips.attributeColors(live.palette)
      live.paletteIsStale = false
    }
    let mode = ScreenMode(live.chips)
    let time = clock.now()
    noteSequence(&live, at: time)
    if let size = mode.size { live.size = size }
    if live.chips.textInWindow, case .planar = mode { showWindowAsPlanes(&live) }
    return Shot(
      mode: mode, palette: live.palette, colors: live.colors,
      cursorAddress: live.chips.crtc.cursorAddress, cursorLines: live.chips.crtc.cursorLines,
      dirty: live.dirty, redraw: live.redraw, rescan: live.rescan, time: time)
  }

  /// CGA modes draw through the text window: gives the planes what the guest wrote there.
  private func showWindowAsPlanes(_ live: inout Live) {
    guard live.dirty.text != 0 || live.redraw else { return }
    memory.copyTextToPlanes()
    live.dirty.text = 0
    live.dirty.mark(0..<(VideoMemory.textBytes * 4))
  }
}
