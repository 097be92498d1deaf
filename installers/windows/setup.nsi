; The setup that people download: one window, no questions that matter.
;
; It puts the files in place and enters them where people and browsers find them; everything that
; the service needs of the system is done by `planetaryd install`, and undone by `planetaryd
; uninstall`. Built by `cargo xtask package windows`, which defines:
;
;   VERSION   X.Y.Z                     OUT        the file to make
;   PROGRAMS  the folder with all that is installed
;   LICENCE, ICON                       files of the repository
;   WEBVIEW   Microsoft's bootstrapper for WebView2; may be absent
;   SIGNER    a program that signs a file in place; may be absent
;
; Silent: `/S`. Exit codes: 0 done, 2 aborted or failed, 3 a newer version is there, 4 it was
; installed by the MSI, 5 the service could not be started.

Target amd64-unicode
!include "FileFunc.nsh"
!include "LogicLib.nsh"
!include "MUI2.nsh"
!include "WordFunc.nsh"

!define NAME "Planetary Network"
!define APP "planetary-network.exe"
!define ID "net.planetary.PlanetaryNetwork"
!define OWN_KEY "Software\${NAME}"
!define UNINSTALL_KEY "Software\Microsoft\Windows\CurrentVersion\Uninstall\${ID}"
!define SCHEME_KEY "Software\Classes\planetary"
!define NOTICES_KEY "Software\Classes\AppUserModelId\${ID}"
!define RUN_KEY "Software\Microsoft\Windows\CurrentVersion\Run"
; The runtime of the app's window, by the number under which it keeps itself up to date.
!define WEBVIEW_KEY "Microsoft\EdgeUpdate\Clients\{F3017226-FE2A-4295-8BDF-00C3A9A7E4C5}"
!define WEBVIEW_LINK "https://go.microsoft.com/fwlink/p/?LinkId=2124703"

Name "${NAME}"
OutFile "${OUT}"
; Where only administrators may write, and where the service looks for its driver.
InstallDir "$PROGRAMFILES64\${NAME}"
RequestExecutionLevel admin
SetCompressor /SOLID lzma
ManifestDPIAware true
BrandingText "${NAME} ${VERSION}"
ShowInstDetails nevershow
ShowUninstDetails nevershow

VIProductVersion "${VERSION}.0"
VIAddVersionKey "ProductName" "${NAME}"
VIAddVersionKey "ProductVersion" "${VERSION}"
VIAddVersionKey "FileVersion" "${VERSION}"
VIAddVersionKey "FileDescription" "Setup of ${NAME}"
VIAddVersionKey "LegalCopyright" "MPL-2.0"

!ifdef SIGNER
!uninstfinalize '"${SIGNER}" "%1"' = 0
!endif

!define MUI_ICON "${ICON}"
!define MUI_UNICON "${ICON}"
!define MUI_ABORTWARNING
!define MUI_LICENSEPAGE_BUTTON "Next"
!define MUI_LICENSEPAGE_TEXT_BOTTOM "This is free software. You may use it without accepting \
  anything; what the licence asks for concerns who passes it on."
!define MUI_FINISHPAGE_RUN
!define MUI_FINISHPAGE_RUN_TEXT "Open ${NAME}"
!define MUI_FINISHPAGE_RUN_FUNCTION OpenApp
!insertmacro MUI_PAGE_LICENSE "${LICENCE}"
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"

Var Programs

; Tells why it goes no further, and goes no further.
!macro Refuse CODE TEXT
  MessageBox MB_OK|MB_ICONSTOP "${TEXT}" /SD IDOK
  SetErrorLevel ${CODE}
  Quit
!macroend

Function .onInit
  SetRegView 64
  SetShellVarContext all
  ; The command line cannot choose another place.
  StrCpy $INSTDIR "$PROGRAMFILES64\${NAME}"
  StrCpy $Programs "$SYSDIR"
  ReadRegStr $0 HKLM "${OWN_KEY}" "Installer"
  ${If} $0 == "msi"
    !insertmacro Refuse 4 "${NAME} was installed here by its MSI package. Use the MSI of the new \
      version, or remove the old one first."
  ${EndIf}
  ReadRegStr $0 HKLM "${UNINSTALL_KEY}" "DisplayVersion"
  ${If} $0 != ""
    ${VersionCompare} "$0" "${VERSION}" $1
    ${If} $1 == 1
      !insertmacro Refuse 3 "Version $0 is installed, which is newer than ${VERSION}. What it has \
        stored may be unreadable to an older one. Remove it first if you want to go back."
    ${EndIf}
  ${EndIf}
FunctionEnd

Function un.onInit
  SetRegView 64
  SetShellVarContext all
  StrCpy $Programs "$SYSDIR"
FunctionEnd

; The app keeps nothing that an end could damage, and a running program cannot be replaced.
!macro CloseApp
  nsExec::Exec '"$Programs\taskkill.exe" /F /IM ${APP}'
  Pop $0
!macroend

; Deletes a file of a program that is about to end, within ten seconds.
!macro DeleteSoon FILE
  ${For} $1 1 40
    ClearErrors
    Delete "${FILE}"
    ${IfNot} ${Errors}
      ${Break}
    ${EndIf}
    Sleep 250
  ${Next}
!macroend

Section "install"
  !insertmacro CloseApp
  !insertmacro DeleteSoon "$INSTDIR\${APP}"
  ; There may be none. Its process holds its file a moment longer than it is listed as running.
  nsExec::Exec '"$Programs\net.exe" stop planetaryd'
  Pop $0
  !insertmacro DeleteSoon "$INSTDIR\planetaryd.exe"

  SetOutPath "$INSTDIR"
  File "${PROGRAMS}\planetary-network.exe"
  File "${PROGRAMS}\planetaryd.exe"
  File "${PROGRAMS}\planetary.exe"
  File "${PROGRAMS}\wintun.dll"
  File "${PROGRAMS}\wintun-LICENSE.txt"
  File "${PROGRAMS}\WebView2Loader.dll"
  File "${PROGRAMS}\LICENSE.txt"
  File "/oname=icon.ico" "${ICON}"
  WriteUninstaller "$INSTDIR\uninstall.exe"

  CreateShortcut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${APP}" "" "$INSTDIR\icon.ico"

  ; Links that begin with `planetary:`.
  WriteRegStr HKLM "${SCHEME_KEY}" "" "URL:${NAME}"
  WriteRegStr HKLM "${SCHEME_KEY}" "URL Protocol" ""
  WriteRegStr HKLM "${SCHEME_KEY}\DefaultIcon" "" "$INSTDIR\icon.ico"
  WriteRegStr HKLM "${SCHEME_KEY}\shell\open\command" "" '"$INSTDIR\${APP}" "%1"'
  ; Under whose name the app's notices are shown.
  WriteRegStr HKLM "${NOTICES_KEY}" "DisplayName" "${NAME}"
  WriteRegStr HKLM "${NOTICES_KEY}" "IconUri" "$INSTDIR\icon.ico"

  WriteRegStr HKLM "${OWN_KEY}" "Installer" "setup"
  WriteRegStr HKLM "${OWN_KEY}" "Version" "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayName" "${NAME}"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "Publisher" "${NAME}"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "DisplayIcon" "$INSTDIR\icon.ico"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKLM "${UNINSTALL_KEY}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKLM "${UNINSTALL_KEY}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoModify" 1
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "NoRepair" 1
  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  IntFmt $0 "0x%08X" $0
  WriteRegDWORD HKLM "${UNINSTALL_KEY}" "EstimatedSize" "$0"

  Call EnsureWebView

  ; Last, so that a failure can be taken away like everything else.
  nsExec::ExecToLog '"$INSTDIR\planetaryd.exe" install'
  Pop $0
  ${If} $0 != 0
    !insertmacro Refuse 5 "The files are in place, but the service could not be started. Open a \
      command prompt as administrator and run `planetaryd install`: it says why."
  ${EndIf}
SectionEnd

; The window needs it; Windows 11 and most of Windows 10 have it.
Function EnsureWebView
  ReadRegStr $0 HKLM "Software\WOW6432Node\${WEBVIEW_KEY}" "pv"
  ${If} $0 == ""
    ReadRegStr $0 HKCU "Software\${WEBVIEW_KEY}" "pv"
  ${EndIf}
  ${If} $0 != ""
  ${AndIf} $0 != "0.0.0.0"
    Return
  ${EndIf}
!ifdef WEBVIEW
  InitPluginsDir
  File "/oname=$PLUGINSDIR\webview2.exe" "${WEBVIEW}"
  ExecWait '"$PLUGINSDIR\webview2.exe" /silent /install' $0
  ${If} $0 == 0
    Return
  ${EndIf}
!endif
  MessageBox MB_YESNO|MB_ICONINFORMATION "The window of ${NAME} needs Microsoft's WebView2 Runtime, \
    which this computer does not have. The service and the command line work without it. Open \
    Microsoft's page to get it?" /SD IDNO IDNO done
  Exec '"$WINDIR\explorer.exe" "${WEBVIEW_LINK}"'
  done:
FunctionEnd

; By the desktop, which does not have an administrator's rights to pass on.
Function OpenApp
  Exec '"$WINDIR\explorer.exe" "$INSTDIR\${APP}"'
FunctionEnd

Section "un.install"
  ; Silent: the key is kept, unless `/PURGE` says otherwise.
  ${GetParameters} $0
  ClearErrors
  ${GetOptions} $0 "/PURGE" $1
  ${IfNot} ${Errors}
    StrCpy $R0 "uninstall --purge"
  ${Else}
    StrCpy $R0 "uninstall"
    MessageBox MB_YESNO|MB_ICONQUESTION "Keep this computer's identity?$\n$\nIts key is its address, \
      and how friends know it. Without it a later installation begins as somebody else, for good." \
      /SD IDYES IDYES keep
    StrCpy $R0 "uninstall --purge"
    keep:
  ${EndIf}

  !insertmacro CloseApp
  nsExec::ExecToLog '"$INSTDIR\planetaryd.exe" $R0'
  Pop $0
  ${If} $0 != 0
    !insertmacro Refuse 2 "The service could not be removed. Restart the computer and try again."
  ${EndIf}

  !insertmacro DeleteSoon "$INSTDIR\planetary-network.exe"
  !insertmacro DeleteSoon "$INSTDIR\planetaryd.exe"
  Delete "$INSTDIR\planetary.exe"
  Delete "$INSTDIR\wintun.dll"
  Delete "$INSTDIR\wintun-LICENSE.txt"
  Delete "$INSTDIR\WebView2Loader.dll"
  Delete "$INSTDIR\LICENSE.txt"
  Delete "$INSTDIR\icon.ico"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\${NAME}.lnk"
  DeleteRegKey HKLM "${SCHEME_KEY}"
  DeleteRegKey HKLM "${NOTICES_KEY}"
  DeleteRegKey HKLM "${OWN_KEY}"
  DeleteRegKey HKLM "${UNINSTALL_KEY}"

  ; What belongs to the person who removes it: the start with the system, and pictures of the pages.
  DeleteRegValue HKCU "${RUN_KEY}" "${NAME}"
  SetShellVarContext current
  RMDir /r "$LOCALAPPDATA\${ID}"
  RMDir /r "$APPDATA\${ID}"
  ${If} $R0 == "uninstall --purge"
    Delete "$APPDATA\planetary\PlanetaryNetwork\config\app.json"
    RMDir "$APPDATA\planetary\PlanetaryNetwork\config"
    RMDir "$APPDATA\planetary\PlanetaryNetwork"
    RMDir "$APPDATA\planetary"
  ${EndIf}
SectionEnd
