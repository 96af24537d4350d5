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

  public func capture() -> Frame {
    let (shot, size) = state.withLock { live in
      let shot = takeShot(&live)
      return (shot, live.size)
    }
    let frame = Frame(size: size)
    var renderer = Renderer()
    _ = renderer.update(frame, shot, memory: memory, everything: true)
    return frame
  }

  /// The adapter at this moment. Dirty pages go on being dirty.
  func takeShot(_ live: inout Live) -> Shot {
    collectDirtyPages(&live)
    if live.paletteIsStale {
      live.palette = live.chips.dac.pixels()
      live.colors = live.chips.attributeColors(live.palette)
      live.paletteIsStale = false
    }
    let mode = ScreenMode(live.chips)
    if let size = mode.size { live.size = size }
    if live.chips.textInWindow, case .planar = mode { showWindowAsPlanes(&live) }
    return Shot(
      mode: mode, palette: live.palette, colors: live.colors,
      cursorAddress: live.chips.crtc.cursorAddress, cursorLines: live.chips.crtc.cursorLines,
      dirty: live.dirty, redraw: live.redraw, rescan: live.rescan, time: clock.now())
  }

  /// CGA modes draw through the text window: gives the planes what the guest wrote there.
  private func showWindowAsPlanes(_ live: inout Live) {
    guard live.dirty.text != 0 || live.redraw else { return }
    memory.copyTextToPlanes()
    live.dirty.text = 0
    live.dirty.mark(0..<(VideoMemory.textBytes * 4))
  }
}
