import KVMEngine
import Storage

extension Machine {
  /// What the host has no room for; nil while nothing of the guest's waits for room.
  public var shortage: ImageError? { parts.room.shortage }

  /// The guest stands still while a controller waits for room, so that its clock does not run into
  /// the time that a driver allows a disk. Called from the thread that found out.
  func roomChanged(_ change: HostRoom.Change) {
    switch change {
    case .waits(let error):
      log("\(error); the desktop stands still until there is room")
      later { machine in
        guard machine.parts.room.shortage != nil, (try? machine.holdStill()) != nil else { return }
        machine.isHeldForRoom = true
        machine.tell(.paused)
      }
    case .asksAgain(let error):
      log("\(error); the guest waits until there is room")
    case .goesOn:
      log("there is room again; the desktop goes on")
      later { machine in
        guard machine.isHeldForRoom, machine.parts.room.shortage == nil else { return }
        machine.isHeldForRoom = false
        guard !machine.isHeldByUser else { return }
        machine.letGo()
        machine.tell(.resumed)
      }
    }
  }

  /// Has the machine's thread call `body`; nobody waits for it.
  private func later(_ body: @escaping @Sendable (Machine) -> Void) {
    parts.control.request(MachineErrand { [weak self] in self.map(body) })
  }
}
