CREATE DATABASE jupyterhub CHARACTER SET utf8mb4;
CREATE USER jupyterhub@localhost IDENTIFIED BY 's3 cr@t:/%?#''';
GRANT ALL ON jupyterhub.* TO jupyterhub@localhost;
GRANT ALL ON `jupyterhub\_hubops\_%`.* TO jupyterhub@localhost;
CREATE TABLE jupyterhub.of_the_site (name VARCHAR(20) CHARACTER SET latin1);
INSERT INTO jupyterhub.of_the_site VALUES ('é');
CREATE VIEW jupyterhub.names_of_the_site AS SELECT name FROM jupyterhub.of_the_site;
