import Display
import Input
import KVMEngine
import Machine
import Storage

extension RunCommand {
  /// The machine that the options ask for, called `name`, its screen behind `password`.
  func machineConfiguration(name: String, password: String?) throws -> MachineConfiguration {
    if let restore { return try restored(restore, name: name, password: password) }
    var configuration = MachineConfiguration()
    configuration.name = name
    if let memory { configuration.memoryBytes = memory }
    configuration.processors = cpus
    configuration.cpu = cpu
    configuration.drives = try drives()
    configuration.builtInFloppy = try guest.map(BuiltInGuest.image)
    configuration.directBoot = KernelOptions.files(
      kernel: kernel, initrd: initrd, append: append, modules: module)
    configuration.bootOrder = boot.kinds
    configuration.hasBootMenu = boot.hasMenu
    configuration.vnc = try vncConfiguration(name: name, password: password)
    configuration.resolution = resolution
    if let keyboard { configuration.keyboard = keyboard }
    configuration.pasteKey = try KeyboardOption.chord(pasteKey, on: configuration.keyboard)
    configuration.serial = serial
    configuration.firmware = firmware
    configuration.firmwareVariables = firmwareVariables
    configuration.engine = engine ?? EngineChoice.forThisHost().engine
    configuration.irqchip = irqchip
    configuration.onTripleFault = onTripleFault
    configuration.debugExit = debugExit
    return configuration
  }

  /// The machine of a snapshot, with the outside that the options ask for.
  private func restored(
    _ path: String, name: String, password: String?
  ) throws -> MachineConfiguration {
    var configuration = try MachineConfiguration(restoring: path)
    configuration.name = name
    guard cpus == 1 || cpus == configuration.processors else {
      throw Complaint(
        "the snapshot \(path) has \(configuration.processors) processors, not \(cpus)")
    }
    let given = try drives()
    if !given.isEmpty { configuration.drives = given }
    if readOnly {
      for index in configuration.drives.indices { configuration.drives[index].readOnly = true }
    }
    if let firmwareVariables { configuration.firmwareVariables = firmwareVariables }
    configuration.vnc = try vncConfiguration(name: name, password: password)
    configuration.resolution = resolution
    if let keyboard { configuration.keyboard = keyboard }
    configuration.pasteKey = try KeyboardOption.chord(pasteKey, on: configuration.keyboard)
    configuration.serial = serial
    configuration.engine = engine ?? EngineChoice.forThisHost().engine
    configuration.irqchip = irqchip
    return configuration
  }

  /// Every drive with its image: named ones first, then those that were guessed.
  func drives() throws -> [DriveDescription] {
    var drives = floppy.map { $0.drive(.floppy, readOnly: readOnly) }
    drives += disk.map { $0.drive(.hardDisk, readOnly: readOnly) }
    drives += cdrom.map { $0.drive(.cdrom, readOnly: readOnly) }
    drives += try media.map {
      DriveOption(path: $0).drive(try MediaGuess.kind(of: $0), readOnly: readOnly)
    }
    return drives
  }

  /// The password that viewers need: none where that was asked or nobody can connect.
  func password() throws -> String? {
    if noPassword || vnc == .none { return nil }
    guard let passwordFile else { return try Password.generate() }
    let password = try Password.read(path: passwordFile)
    if password.utf8.count > Password.usedBytes {
      Console.error("porthole: VNC uses only the first \(Password.usedBytes) bytes of a password")
    }
    return password
  }

  /// Where the VNC server listens; the first free port is looked for where none was given.
  private func vncConfiguration(name: String, password: String?) throws -> VNCConfiguration? {
    let address: VNCConfiguration.Address
    switch vnc {
    case .none: return nil
    case .tcp(let host, let port):
      address = .tcp(
        host: host, port: try port ?? FreePort.first(host: host, claims: PortClaims(.locate())))
    case .range(let host, let ports):
      address = .tcp(
        host: host, port: try FreePort.first(host: host, of: [ports], claims: PortClaims(.locate()))
      )
    case .unix(let path): address = .unix(path: path)
    }
    var configuration = VNCConfiguration(
      address: address, password: password, viewerLimit: viewers, desktopName: name)
    configuration.viewPassword = try viewPasswordFile.map(Password.read)
    return configuration
  }
}
