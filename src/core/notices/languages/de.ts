import type { Texts } from '../texts.js'

export const de: Texts = {
  greeting: 'Guten Tag {name},',
  notices: {
    otp_enabled: {
      subject: 'Zwei-Faktor-Authentisierung ist eingeschaltet',
      text: 'Für Ihr Konto wurde die Zwei-Faktor-Authentisierung eingeschaltet.'
    },
    otp_device_added: {
      subject: 'Ein zweiter Faktor ist dazugekommen',
      text: 'Zu Ihrem Konto wurde ein weiterer zweiter Faktor hinzugefügt.'
    },
    otp_device_removed: { subject: 'Ein zweiter Faktor wurde entfernt', text: 'Von Ihrem Konto wurde ein zweiter Faktor entfernt.' },
    otp_disabled: {
      subject: 'Zwei-Faktor-Authentisierung ist ausgeschaltet',
      text: 'Für Ihr Konto wurde die Zwei-Faktor-Authentisierung ausgeschaltet. Das Passwort allein öffnet es jetzt.'
    },
    recovery_regenerated: {
      subject: 'Neue Wiederherstellungscodes',
      text: 'Für Ihr Konto wurden neue Wiederherstellungscodes erzeugt. Die alten gelten nicht mehr.'
    },
    recovery_used: {
      subject: 'Ein Wiederherstellungscode wurde benutzt', text: 'Mit einem Wiederherstellungscode wurde Ihr Konto geöffnet.'
    },
    otp_reset: {
      subject: 'Ihr zweiter Faktor wurde zurückgesetzt',
      text: 'Der zweite Faktor Ihres Kontos wurde von der Verwaltung zurückgesetzt. Alle Ihre Sitzungen sind beendet.'
    },
    otp_locked: {
      subject: 'Falsche Codes für Ihr Konto',
      text: 'Für Ihr Konto wurden nach dem richtigen Passwort zu viele falsche Codes eingegeben. Waren Sie es nicht, kennt ' +
        'jemand Ihr Passwort.'
    },
    otp_stopped: {
      subject: 'Codes werden nicht mehr angenommen',
      text: 'Für Ihr Konto wurden nach dem richtigen Passwort so viele falsche Codes eingegeben, dass kein Code einer App ' +
        'mehr angenommen ' +
        'wird, bis Sie einen Wiederherstellungscode benutzen oder die Verwaltung das Konto entsperrt. Waren Sie es nicht, ' +
        'kennt jemand Ihr ' +
        'Passwort.'
    },
    refresh_reused: {
      subject: 'Eine Sitzung wurde beendet',
      text: 'Ein Token einer Ihrer Sitzungen wurde zweimal vorgelegt; es gibt also vielleicht eine Kopie. Diese Sitzung ist beendet.'
    },
    password_changed: { subject: 'Ihr Passwort wurde geändert', text: 'Das Passwort Ihres Kontos wurde geändert.' },
    password_reset: {
      subject: 'Ihr Passwort wurde neu gesetzt',
      text: 'Über einen Link wurde ein neues Passwort für Ihr Konto gesetzt. Alle Ihre Sitzungen sind beendet.'
    },
    email_changed: { subject: 'Ihre E-Mail-Adresse wurde geändert', text: 'Die E-Mail-Adresse Ihres Kontos wurde geändert.' }
  },
  messages: {
    verify_email: {
      subject: 'Bestätigen Sie Ihre E-Mail-Adresse',
      text: 'Bestätigen Sie, dass dies die E-Mail-Adresse des Kontos {username} ist. Der Link gilt 24 Stunden:\n\n{link}\n\n' +
        'Haben Sie das nicht verlangt, brauchen Sie nichts zu tun.'
    },
    reset_password: {
      subject: 'Setzen Sie ein neues Passwort',
      text: 'Für das Konto {username} wurde ein neues Passwort verlangt. Der Link gilt 30 Minuten und nur einmal:\n\n{link}\n\n' +
        'Haben Sie das nicht verlangt, brauchen Sie nichts zu tun: Ihr Passwort bleibt, wie es ist.'
    },
    undo_email_change: {
      subject: 'Ihre E-Mail-Adresse soll geändert werden',
      text: 'Für das Konto {username} wurde eine andere E-Mail-Adresse angegeben. Waren Sie es selbst, brauchen Sie nichts zu tun.\n\n' +
        'Waren Sie es nicht, öffnen Sie innerhalb von 72 Stunden diesen Link. Er beendet alle Sitzungen und behält diese Adresse:\n\n{link}'
    },
    reset_password_staff: {
      subject: 'Ihr Passwort kann nicht per E-Mail neu gesetzt werden',
      text: 'Für das Konto {username} wurde ein neues Passwort verlangt. Ein Mitglied der Verwaltung ohne zweiten Faktor bekommt keinen ' +
        'Link. Wenden Sie sich an ein anderes Mitglied der Verwaltung.'
    }
  },
  at: 'Wann: {at}',
  from: 'Netzadresse: {ip}',
  agent: 'Programm: {agent}',
  device: 'Name: {device}',
  recoveryCodesLeft: 'Übrige Wiederherstellungscodes: {count}',
  more: 'Das ist seit der letzten Nachricht darüber noch {count}-mal geschehen.',
  advice: {
    own: 'Waren Sie es nicht, ändern Sie jetzt Ihr Passwort und beenden Sie Ihre anderen Sitzungen.',
    staff: 'Haben Sie das nicht verlangt, melden Sie sich jetzt bei der Verwaltung von {issuer}.',
    password: 'Waren Sie es nicht, ändern Sie jetzt Ihr Passwort. Ihr zweiter Faktor hat das Konto geschützt.'
  }
}
