# Makes the database jupyterhub of the user hub, with the password of the variable PASSWORD, and serves it.
set -eu
data=/var/lib/mysql
install -d -o mysql -g mysql $data /run/mysqld
if [ ! -d $data/mysql ]; then
    mariadb-install-db --no-defaults --user=mysql --datadir=$data --skip-test-db >/dev/null
fi
cat >/run/mysqld/begin.sql <<END
CREATE DATABASE IF NOT EXISTS jupyterhub CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS hub@'%' IDENTIFIED BY '$PASSWORD';
GRANT ALL ON jupyterhub.* TO hub@'%';
END
exec mariadbd --no-defaults --user=mysql --datadir=$data --socket=/run/mysqld/mysqld.sock --init-file=/run/mysqld/begin.sql
