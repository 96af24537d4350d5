/// The command register (ATA/ATAPI-6, chapter 8).
extension IDECore {
  mutating func command(_ code: UInt8) {
    let device = state.selected
    if isBusy(device) || job != nil {
      // DEVICE RESET alone is taken by a busy device, a packet device.
      if code == ATACommand.deviceReset, slots[device].isPacketDevice,
        state.transfer.device == device
      {
        waitingReset = isWorking ? .device : .none
        abandon()
        if waitingReset == .none { sign(device) }
      }
      return
    }
    if code == ATACommand.diagnostic { return diagnose() }
    guard !slots[device].isEmpty else { return }
    abandon()
    state.transfer.device = device
    state.transfer.command = code
    state.devices[device].interrupt = false
    state.devices[device].file.error = 0
    state.devices[device].file.status &=
      ~(ATAStatus.error | ATAStatus.fault | ATAStatus.dataRequest)
    let code = ATACommand.modern(code)
    if slots[device].isPacketDevice {
      packetDeviceCommand(device, code)
    } else if let disk = slots[device].disk {
      diskCommand(device, disk, code)
    }
  }

  /// EXECUTE DEVICE DIAGNOSTIC, which both devices take, whichever is selected.
  private mutating func diagnose() {
    abandon()
    sign()
    for index in 0...1 {
      if !state.devices[index].keepsFeatures {
        state.devices[index].multiple = ATAIdentity.maximumMultiple
      }
    }
    if !slots.first.isEmpty { interrupt(0) }
  }

  private mutating func diskCommand(_ device: Int, _ disk: ATADisk, _ code: UInt8) {
    switch code {
    case ATACommand.readSectors, ATACommand.readSectorsExt, ATACommand.readMultiple,
      ATACommand.readMultipleExt, ATACommand.readDMA, ATACommand.readDMAExt:
      transferSectors(device, disk, code, .toHost)
    case ATACommand.writeSectors, ATACommand.writeSectorsExt, ATACommand.writeMultiple,
      ATACommand.writeMultipleExt, ATACommand.writeDMA, ATACommand.writeDMAExt,
      ATACommand.writeVerify:
      transferSectors(device, disk, code, .fromHost)
    case ATACommand.verify, ATACommand.verifyExt: transferSectors(device, disk, code, .none)
    case ATACommand.seek: seek(device, disk)
    case ATACommand.recalibrate:
      state.devices[device].file.word = 0
      succeed(device)
    case ATACommand.flush, ATACommand.flushExt: job = .flush
    case ATACommand.identify:
      reply(device, ATAIdentity(disk, state.devices[device], isSecond: device == 1).bytes)
    case ATACommand.setMultiple: setMultiple(device)
    case ATACommand.initializeParameters: initializeParameters(device, disk)
    case ATACommand.readNativeMax, ATACommand.readNativeMaxExt: readNativeMax(device, disk, code)
    case ATACommand.smart: smart(device)
    case ATACommand.dataSetManagement: manageData(device, disk)
    default: commonCommand(device, code)
    }
  }

  /// The commands that disks and packet devices share; all others are aborted.
  mutating func commonCommand(_ device: Int, _ code: UInt8) {
    switch code {
    case ATACommand.setFeatures: setFeatures(device)
    case ATACommand.checkPower:
      state.devices[device].file.count.low = state.devices[device].power
      succeed(device)
    case ATACommand.idle, ATACommand.idleImmediate:
      state.devices[device].power = 0xFF
      succeed(device)
    case ATACommand.standby, ATACommand.standbyImmediate, ATACommand.sleep:
      state.devices[device].power = 0
      succeed(device)
    default: fail(device, ATAError.aborted)
    }
  }

  /// Gives the host `bytes`, whole sectors, by the data port.
  mutating func reply(_ device: Int, _ bytes: [UInt8]) {
    state.transfer.direction = .toHost
    state.transfer.blockBytes = Sector.bytes
    state.filled = buffer.fill(bytes)
    presentBlock()
  }

  private mutating func seek(_ device: Int, _ disk: ATADisk) {
    guard let sector = address(device, disk, extended: false), sector < disk.sectorCount else {
      return fail(device, ATAError.notFound)
    }
    succeed(device)
  }

  private mutating func setMultiple(_ device: Int) {
    let count = state.devices[device].file.count.low
    guard count <= ATAIdentity.maximumMultiple, count & (count &- 1) == 0 else {
      state.devices[device].multiple = 0
      return fail(device, ATAError.aborted)
    }
    state.devices[device].multiple = count
    succeed(device)
  }

  private mutating func initializeParameters(_ device: Int, _ disk: ATADisk) {
    let sectors = state.devices[device].file.count.low
    let heads = state.devices[device].file.device & ATADevice.headMask + 1
    guard sectors != 0, disk.sectorCount28 / (UInt64(heads) * UInt64(sectors)) > 0 else {
      return fail(device, ATAError.aborted)
    }
    state.devices[device].heads = heads
    state.devices[device].sectors = sectors
    succeed(device)
  }

  private mutating func readNativeMax(_ device: Int, _ disk: ATADisk, _ code: UInt8) {
    if code == ATACommand.readNativeMaxExt {
      state.devices[device].file.setLBA48(max(1, disk.sectorCount) - 1)
    } else {
      state.devices[device].file.setLBA28(max(1, disk.sectorCount28) - 1)
    }
    succeed(device)
  }

  private mutating func setFeatures(_ device: Int) {
    let count = state.devices[device].file.count.low
    switch state.devices[device].file.features.low {
    case ATAFeature.enableWriteCache: state.devices[device].writeCache = true
    case ATAFeature.disableWriteCache:
      state.devices[device].writeCache = false
      // What the cache holds reaches the medium before the command ends.
      if slots[device].disk != nil {
        job = .flush
        return
      }
    case ATAFeature.enableLookAhead: state.devices[device].lookAhead = true
    case ATAFeature.disableLookAhead: state.devices[device].lookAhead = false
    case ATAFeature.disableRevert: state.devices[device].keepsFeatures = true
    case ATAFeature.enableRevert: state.devices[device].keepsFeatures = false
    case ATAFeature.transferMode:
      guard Self.isTransferMode(count) else { return fail(device, ATAError.aborted) }
      state.devices[device].transferMode = count
    default: return fail(device, ATAError.aborted)
    }
    succeed(device)
  }

  /// PIO by default (0 and 1), PIO 0 to 4, multiword DMA 0 to 2, ultra DMA 0 to 5 (8.46.11).
  private static func isTransferMode(_ value: UInt8) -> Bool {
    switch value {
    case 0, 1, 0x08...0x0C, 0x20...0x22, 0x40...0x45: true
    default: false
    }
  }
}
