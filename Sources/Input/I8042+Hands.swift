/// The keyboard's keys and the mouse as a person's hands find them.
extension I8042 {
  /// Presses and releases keys, in order. A press of a key that is down is a repeat: its make code
  /// goes out once more.
  public func strokes(_ strokes: [KeyStroke]) {
    guarded.withLock { guarded in
      for stroke in strokes { guarded.state.keyboard.stroke(stroke) }
      update(&guarded)
    }
  }

  /// Moves the mouse, then makes `buttons` the ones that are down.
  /// - Parameters:
  ///   - right: counts to the right.
  ///   - down: counts towards the user.
  ///   - wheel: detents towards the user.
  ///   - pan: detents of the horizontal wheel, to the right.
  public func moveMouse(
    right: Int, down: Int, wheel: Int, pan: Int = 0, buttons: MouseButtons
  ) {
    guarded.withLock { guarded in
      guarded.state.mouse.move(
        x: right, y: 0 &- down, z: wheel, w: pan,
        buttons: PS2Mouse.Buttons(rawValue: buttons.rawValue))
      update(&guarded)
    }
  }

  /// Takes all hands away: releases every key and button that is down.
  public func releaseAll() {
    guarded.withLock { guarded in
      let waiting = guarded.state.keyboard.backlog.filter(\.pressed).map(\.key)
      let keys = guarded.state.keyboard.down.map(\.key) + waiting
      for key in keys.reversed() {
        guarded.state.keyboard.stroke(KeyStroke(key, pressed: false))
      }
      guarded.state.mouse.move(x: 0, y: 0, z: 0, buttons: [])
      update(&guarded)
    }
  }

  /// The keyboard's lights.
  public var keyboardLEDs: KeyboardLEDs {
    guarded.withLock { KeyboardLEDs(rawValue: $0.state.keyboard.leds) }
  }

  /// Sets who is told when the keyboard's lights change, and tells what they are now. The handler runs
  /// with the device's lock held, so it waits for nobody.
  public func setLightsHandler(_ handler: @escaping @Sendable (KeyboardLEDs) -> Void) {
    guarded.withLock { guarded in
      guarded.lightsChanged = handler
      guarded.tellLights()
    }
  }

  /// Scan code bytes and strokes that the guest has not read yet.
  public var unreadKeys: Int {
    guarded.withLock { guarded in
      let state = guarded.state
      return state.keyboard.unread + (state.outputFull && state.source == .keyboard ? 1 : 0)
    }
  }

  /// Whether the keyboard reports strokes: the guest may have disabled it.
  public var keyboardReports: Bool { guarded.withLock { $0.state.keyboard.scanning } }

  /// Sets who is told that the guest read a byte of the keyboard. The handler runs with the device's
  /// lock held, so it only wakes somebody.
  public func setKeyboardReadHandler(_ handler: @escaping @Sendable () -> Void) {
    guarded.withLock { $0.keyboardRead = handler }
  }
}

/// The buttons of the mouse.
public struct MouseButtons: OptionSet, Sendable, Equatable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let left = MouseButtons(rawValue: 1)
  public static let right = MouseButtons(rawValue: 2)
  public static let middle = MouseButtons(rawValue: 4)
  /// The side button that goes back.
  public static let fourth = MouseButtons(rawValue: 8)
  /// The side button that goes forward.
  public static let fifth = MouseButtons(rawValue: 16)
}
